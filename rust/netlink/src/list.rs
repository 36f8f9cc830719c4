//! Lists of what the kernel holds, asked for until they come unchanged.
//!
//! The kernel sends a list in parts. What changes between two of them may be missing or come twice;
//! the kernel then marks the list as interrupted (`nl_dump_check_consistent`).

use std::io;

use thiserror::Error;

use crate::message::NLM_F_DUMP;
use crate::{Error as NetlinkError, Message, Messages, Reply, Transport, Writer};

/// How often a list is asked for that changes meanwhile.
pub const ATTEMPTS: u32 = 5;

/// Why there is no list. Callers say of what.
#[derive(Debug, Error)]
pub enum ListError {
    /// The transport failed.
    #[error("cannot talk to the kernel")]
    Io(#[from] io::Error),
    /// The kernel refused the request.
    #[error("the kernel refused the list")]
    Refused(#[source] NetlinkError),
    /// The list has an entry that could not be read.
    #[error("the list has an entry that cannot be read")]
    Malformed,
    /// The list changed during each of the [`ATTEMPTS`].
    #[error("the list changed while it was read, {ATTEMPTS} times in a row")]
    Unsteady,
}

/// Asks for a list until it comes unchanged.
///
/// `write` writes the request, with flags beside its own and a sequence number. `sequence` is the
/// first number to use and is moved behind the last. `read` reads an entry; `None` if it cannot.
pub fn list<T: Transport + ?Sized, E>(
    transport: &mut T,
    sequence: &mut u32,
    write: impl Fn(&mut Writer, u16, u32),
    read: impl Fn(&Message<'_>) -> Option<E>,
) -> Result<Vec<E>, ListError> {
    let (mut request, mut answer) = (Writer::new(), Vec::new());
    for _ in 0..ATTEMPTS {
        let own = *sequence;
        *sequence = own.wrapping_add(1);
        request.clear();
        write(&mut request, NLM_F_DUMP, own);
        transport.send(request.as_bytes())?;
        if let Some(entries) = receive(transport, &mut answer, own, &read)? {
            return Ok(entries);
        }
    }
    Err(ListError::Unsteady)
}

/// Receives a list; `None` if it changed meanwhile.
fn receive<T: Transport + ?Sized, E>(
    transport: &mut T,
    answer: &mut Vec<u8>,
    sequence: u32,
    read: &impl Fn(&Message<'_>) -> Option<E>,
) -> Result<Option<Vec<E>>, ListError> {
    let mut entries = Vec::new();
    let (mut is_consistent, mut is_readable) = (true, true);
    loop {
        transport.receive(answer)?;
        for message in Messages::new(answer) {
            if message.header.sequence != sequence {
                continue;
            }
            is_consistent &= !message.is_interrupted();
            match message.reply() {
                // All is received even if it cannot be read: what is left waiting would be in the
                // way of the next request.
                Reply::Data(entry) => match read(&entry) {
                    Some(entry) => entries.push(entry),
                    None => is_readable = false,
                },
                Reply::Done if !is_readable => return Err(ListError::Malformed),
                Reply::Done => return Ok(is_consistent.then_some(entries)),
                Reply::Failed(source) => return Err(ListError::Refused(source)),
                Reply::Overrun => is_consistent = false,
                Reply::Acknowledged | Reply::Noop => {}
            }
        }
    }
}
