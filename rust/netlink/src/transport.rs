//! The seam to the kernel.

use std::io;

/// Carries datagrams of messages to the kernel and back.
pub trait Transport {
    /// Sends one datagram. The kernel has handled all its messages when this returns: its answers
    /// wait to be received.
    ///
    /// # Errors
    ///
    /// `EMSGSIZE` if the datagram is larger than the transport may become.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Replaces the contents of `buffer` by the next datagram.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] if none arrives in the transport's time limit; `ENOBUFS` once
    /// after the kernel had to drop answers.
    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()>;
}

impl<T: Transport + ?Sized> Transport for &mut T {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        (**self).send(bytes)
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        (**self).receive(buffer)
    }
}
