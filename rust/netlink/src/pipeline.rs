//! Many requests to a datagram, for subsystems that handle each on its own.
//!
//! The kernel handles the messages of a datagram in order and always answers a failure. So only
//! the last message of a datagram asks for an acknowledgement: whatever failed before it has been
//! answered by then.

use std::io;

use crate::message::NLM_F_ACK;
use crate::{Error, Messages, Reply, Transport, Writer};

/// How many bytes go into one datagram, but for its last message: some five hundred messages.
/// Bounds what the kernel allocates at once, and the answers that wait.
const DATAGRAM: usize = 64 * 1024;

/// Sends `count` requests and visits the failures, each with the index of its request, in order.
///
/// `write` appends the request of an index, with flags beside its own and a sequence number.
/// `sequence` is the first number to use and is moved behind the last.
///
/// # Errors
///
/// The transport failed: which requests were carried out is not known.
pub fn submit<T: Transport + ?Sized>(
    transport: &mut T,
    sequence: &mut u32,
    count: usize,
    mut write: impl FnMut(&mut Writer, usize, u16, u32),
    mut visit: impl FnMut(usize, Error),
) -> io::Result<()> {
    let (mut request, mut answer) = (Writer::new(), Vec::new());
    let mut index = 0;
    while index < count {
        let (first_index, first_sequence) = (index, *sequence);
        request.clear();
        loop {
            let is_last = index + 1 == count || request.len() >= DATAGRAM;
            let flags = if is_last { NLM_F_ACK } else { 0 };
            write(&mut request, index, flags, *sequence);
            *sequence = sequence.wrapping_add(1);
            index += 1;
            if is_last {
                break;
            }
        }
        transport.send(request.as_bytes())?;
        let sent = index - first_index;
        let visit = |position, error| visit(first_index + position, error);
        receive(transport, &mut answer, first_sequence, sent, visit)?;
    }
    Ok(())
}

/// Visits the errors that answer `count` messages, up to the answer to the last one.
fn receive<T: Transport + ?Sized>(
    transport: &mut T,
    answer: &mut Vec<u8>,
    first_sequence: u32,
    count: usize,
    mut visit: impl FnMut(usize, Error),
) -> io::Result<()> {
    loop {
        transport.receive(answer)?;
        for message in Messages::new(answer) {
            let position = message.header.sequence.wrapping_sub(first_sequence);
            let position = usize::try_from(position).ok().filter(|at| *at < count);
            let Some(position) = position else {
                continue;
            };
            match message.reply() {
                Reply::Failed(error) => visit(position, error),
                Reply::Acknowledged => {}
                _ => continue,
            }
            if position + 1 == count {
                return Ok(());
            }
        }
    }
}
