//! What fuzz targets share.

use std::io;

use kpx_netlink::Transport;

const MESSAGE_HEADER_LENGTH: usize = 16;

/// Answers each request with the next datagrams, made to carry the request's sequence number.
///
/// The input is a run of datagrams, each behind its length (two bytes, big endian).
pub struct Script<'a> {
    input: &'a [u8],
    sequence: [u8; 4],
}

impl Transport for Script<'_> {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.sequence.copy_from_slice(&request[8..12]);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        let (length, rest) = self
            .input
            .split_first_chunk()
            .ok_or(io::ErrorKind::WouldBlock)?;
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (datagram, rest) = rest.split_at(length);
        self.input = rest;
        buffer.clear();
        buffer.extend_from_slice(datagram);
        let mut start = 0;
        while let Some(header) = buffer.get_mut(start..start + MESSAGE_HEADER_LENGTH) {
            header[8..12].copy_from_slice(&self.sequence);
            let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
            start += (length as usize)
                .max(MESSAGE_HEADER_LENGTH)
                .next_multiple_of(4);
        }
        Ok(())
    }
}

impl<'a> Script<'a> {
    /// A script of some input.
    pub const fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            sequence: [0; 4],
        }
    }
}
