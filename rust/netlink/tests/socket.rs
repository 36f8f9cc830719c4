//! The socket against the kernel: needs no privilege, for it only lists links.

use std::io;

use kpx_netlink::message::{NLM_F_DUMP, NLM_F_REQUEST};
use kpx_netlink::socket::NETLINK_ROUTE;
use kpx_netlink::{Fault, FaultyTransport, Header, Messages, Reply, Socket, Transport, Writer};

/// `uapi/linux/rtnetlink.h`.
const RTM_GETLINK: u16 = 18;
const RTM_GETADDR: u16 = 22;

/// A request with the zeroes of the longest of rtnetlink's headers.
fn request(kind: u16, flags: u16) -> Vec<u8> {
    let mut writer = Writer::new();
    let start = writer.begin_message(Header {
        kind,
        flags: NLM_F_REQUEST | flags,
        sequence: 77,
    });
    writer.put_raw(&[0; 16]);
    writer.end_message(start);
    writer.into_bytes()
}

#[test]
fn a_dump_ends_with_done() {
    let mut socket = Socket::open(NETLINK_ROUTE).unwrap();
    socket.send(&request(RTM_GETLINK, NLM_F_DUMP)).unwrap();
    let mut buffer = Vec::new();
    let mut links = 0;
    for _ in 0..1000 {
        socket.receive(&mut buffer).unwrap();
        for message in Messages::new(&buffer) {
            assert_eq!(message.header.sequence, 77);
            match message.reply() {
                Reply::Data(_) => links += 1,
                Reply::Done => {
                    assert!(links > 0);
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    panic!("no end");
}

#[test]
fn a_refusal_is_short_whatever_the_request() {
    let mut socket = Socket::open(NETLINK_ROUTE).unwrap();
    let mut bytes = request(RTM_GETADDR + 1000, 0);
    let length = 100_000_u32;
    bytes.resize(length as usize, 0);
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    socket.send(&bytes).unwrap();
    let mut buffer = Vec::new();
    socket.receive(&mut buffer).unwrap();
    assert!(buffer.len() < 200, "{}", buffer.len());
    match Messages::new(&buffer).next().unwrap().reply() {
        Reply::Failed(error) => {
            assert_eq!(error.sequence, 77);
            assert!(error.is_unsupported(), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn faults_come_in_their_order_and_then_no_more() {
    let request = request(RTM_GETLINK, NLM_F_DUMP);
    let mut transport = FaultyTransport::new(Socket::open(NETLINK_ROUTE).unwrap())
        .on_send([Fault::Fail(libc::ENOBUFS), Fault::Pass])
        .on_receive([Fault::Fail(libc::ENOBUFS), Fault::Lose]);
    let mut buffer = Vec::new();
    let error = transport.send(&request).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS));
    transport.send(&request).unwrap();
    let error = transport.receive(&mut buffer).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS));
    let error = transport.receive(&mut buffer).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(buffer.is_empty());
    transport.receive(&mut buffer).unwrap();
    assert!(!buffer.is_empty());
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for_without_end() {
    let mut socket = Socket::open(NETLINK_ROUTE).unwrap();
    let error = socket.receive(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "no answer within 5 s");
}
