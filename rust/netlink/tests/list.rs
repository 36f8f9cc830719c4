//! A list is asked for until it comes unchanged, and all of every answer is received.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::io;

use kpx_netlink::list::{ATTEMPTS, ListError, list};
use kpx_netlink::message::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR};
use kpx_netlink::{Header, Message, Messages, Transport, Writer};

const KIND: u16 = 0x10;

/// Answers each request with the next of some lists, each a list of datagrams: the kind of message,
/// its flags and what it carries.
struct Kernel {
    lists: VecDeque<Vec<Vec<Part>>>,
    answers: VecDeque<Vec<u8>>,
    requests: u32,
}

type Part = (u16, u16, i32);

impl Kernel {
    fn new(lists: impl IntoIterator<Item = Vec<Vec<Part>>>) -> Self {
        Self {
            lists: lists.into_iter().collect(),
            answers: VecDeque::new(),
            requests: 0,
        }
    }
}

impl Transport for Kernel {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let request = Messages::new(bytes).next().unwrap().header;
        assert_eq!(request.flags & NLM_F_DUMP, NLM_F_DUMP);
        self.requests += 1;
        for datagram in self.lists.pop_front().unwrap() {
            let mut writer = Writer::new();
            for (kind, flags, value) in datagram {
                let start = writer.begin_message(Header {
                    kind,
                    flags,
                    sequence: request.sequence,
                });
                writer.put_raw(&value.to_ne_bytes());
                writer.end_message(start);
            }
            self.answers.push_back(writer.into_bytes());
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        *buffer = self.answers.pop_front().ok_or(io::ErrorKind::TimedOut)?;
        Ok(())
    }
}

/// Lists numbers, of which negative ones cannot be read.
fn numbers(kernel: &mut Kernel, sequence: &mut u32) -> Result<Vec<i32>, ListError> {
    let write = |writer: &mut Writer, flags, sequence| {
        let start = writer.begin_message(Header {
            kind: KIND,
            flags,
            sequence,
        });
        writer.end_message(start);
    };
    let read = |message: &Message<'_>| {
        let number = i32::from_ne_bytes(message.payload.try_into().ok()?);
        (number >= 0).then_some(number)
    };
    list(kernel, sequence, write, read)
}

fn entry(number: i32) -> Part {
    (KIND, 0, number)
}

const DONE: Part = (NLMSG_DONE, 0, 0);
const INTERRUPTED: Part = (NLMSG_DONE, NLM_F_DUMP_INTR, 0);

#[test]
fn a_list_that_changed_is_asked_for_again() {
    let interrupted = vec![vec![entry(1), (KIND, NLM_F_DUMP_INTR, 2)], vec![DONE]];
    let at_its_end = vec![vec![entry(1)], vec![INTERRUPTED]];
    let steady = vec![vec![entry(1), entry(2)], vec![entry(3), DONE]];
    let mut kernel = Kernel::new([interrupted, at_its_end, steady]);
    let mut sequence = u32::MAX;
    assert_eq!(numbers(&mut kernel, &mut sequence).unwrap(), [1, 2, 3]);
    assert_eq!((kernel.requests, sequence), (3, 2));
}

#[test]
fn a_list_that_keeps_changing_is_an_error() {
    let lists = (0..=ATTEMPTS).map(|_| vec![vec![entry(1), INTERRUPTED]]);
    let mut kernel = Kernel::new(lists);
    let error = numbers(&mut kernel, &mut 1).unwrap_err();
    assert!(matches!(error, ListError::Unsteady), "{error:?}");
    assert_eq!(kernel.requests, ATTEMPTS);
}

#[test]
fn what_follows_an_unreadable_entry_is_not_left_waiting() {
    let unreadable = vec![vec![entry(-1)], vec![entry(2)], vec![DONE]];
    let steady = vec![vec![entry(3), DONE]];
    let mut kernel = Kernel::new([unreadable, steady]);
    let mut sequence = 1;
    let error = numbers(&mut kernel, &mut sequence).unwrap_err();
    assert!(matches!(error, ListError::Malformed), "{error:?}");
    assert_eq!(kernel.answers.len(), 0);
    assert_eq!(numbers(&mut kernel, &mut sequence).unwrap(), [3]);
}

#[test]
fn a_refusal_is_the_callers_to_explain() {
    let mut kernel = Kernel::new([vec![vec![(NLMSG_ERROR, 0, -libc::EPERM)]]]);
    let error = numbers(&mut kernel, &mut 1).unwrap_err();
    let ListError::Refused(source) = error else {
        panic!("{error:?}");
    };
    assert_eq!(source.errno, libc::EPERM);
}
