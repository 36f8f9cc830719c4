//! A [`Transport`] whose lists are interrupted.

use std::io;

use crate::message::{NLM_F_DUMP_INTR, NLM_F_MULTI};
use crate::{Messages, Transport};

/// Wraps a transport and marks the first so many datagrams of lists as interrupted, as the kernel
/// does where what is listed changes meanwhile.
#[derive(Debug)]
pub struct Interrupting<T> {
    transport: T,
    left: usize,
}

impl<T: Transport> Interrupting<T> {
    /// Wraps a transport; `usize::MAX` never leaves a list in peace.
    pub const fn new(transport: T, times: usize) -> Self {
        Self {
            transport,
            left: times,
        }
    }
}

impl<T: Transport> Transport for Interrupting<T> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.transport.send(bytes)
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        self.transport.receive(buffer)?;
        let flags = Messages::new(buffer).next().map(|first| first.header.flags);
        if let Some(flags) = flags
            && flags & NLM_F_MULTI != 0
            && self.left > 0
        {
            self.left -= 1;
            buffer[6..8].copy_from_slice(&(flags | NLM_F_DUMP_INTR).to_ne_bytes());
        }
        Ok(())
    }
}
