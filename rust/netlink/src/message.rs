//! Messages: a header, then a payload, aligned to 4 bytes.
//!
//! ```text
//!  0               4               6               8               12              16
//! +---------------+---------------+---------------+---------------+---------------+
//! | length (u32)  | kind (u16)    | flags (u16)   | sequence      | port          |
//! +---------------+---------------+---------------+---------------+---------------+
//! ```
//!
//! `struct nlmsghdr` of `uapi/linux/netlink.h`, all in host byte order. The port is left 0: the
//! kernel knows the sender.

use crate::Error;
use crate::attribute::{Attributes, Writer, align};

/// The length of a message's header (`NLMSG_HDRLEN`).
pub const HEADER_LENGTH: usize = 16;

/// A request (`uapi/linux/netlink.h`, as all the following).
pub const NLM_F_REQUEST: u16 = 0x01;
/// One of several messages, ended by [`NLMSG_DONE`].
pub const NLM_F_MULTI: u16 = 0x02;
/// The sender wants an acknowledgement.
pub const NLM_F_ACK: u16 = 0x04;
/// What is dumped changed meanwhile: the dump is inconsistent.
pub const NLM_F_DUMP_INTR: u16 = 0x10;
/// List all objects: `NLM_F_ROOT | NLM_F_MATCH`.
pub const NLM_F_DUMP: u16 = 0x300;
/// Fail if the object exists.
pub const NLM_F_EXCL: u16 = 0x200;
/// Make the object if it does not exist.
pub const NLM_F_CREATE: u16 = 0x400;
/// Add the object at the end of its list.
pub const NLM_F_APPEND: u16 = 0x800;
/// In an acknowledgement: the request is not repeated behind its header.
pub const NLM_F_CAPPED: u16 = 0x100;
/// In an acknowledgement: attributes follow.
pub const NLM_F_ACK_TLVS: u16 = 0x200;

/// Nothing.
pub const NLMSG_NOOP: u16 = 0x1;
/// An error, or with error number 0 an acknowledgement.
pub const NLMSG_ERROR: u16 = 0x2;
/// The end of a dump.
pub const NLMSG_DONE: u16 = 0x3;
/// Data was lost.
pub const NLMSG_OVERRUN: u16 = 0x4;
/// The first kind that belongs to the subsystems.
pub const NLMSG_MIN_TYPE: u16 = 0x10;

/// The header of a message, without its length and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the message is; subsystems number from [`NLMSG_MIN_TYPE`].
    pub kind: u16,
    /// A union of `NLM_F_` flags.
    pub flags: u16,
    /// The number by which an answer is matched with its request.
    pub sequence: u32,
}

/// A message that has been begun and not yet ended.
#[derive(Debug)]
#[must_use = "a message has no length until it is ended"]
pub struct MessageStart {
    start: usize,
}

impl Writer {
    /// Begins a message: what is appended until [`Writer::end_message`] is its payload.
    pub fn begin_message(&mut self, header: Header) -> MessageStart {
        let start = self.bytes.len();
        let mut bytes = [0; HEADER_LENGTH];
        bytes[4..6].copy_from_slice(&header.kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&header.flags.to_ne_bytes());
        bytes[8..12].copy_from_slice(&header.sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&bytes);
        MessageStart { start }
    }

    /// Ends a message.
    #[expect(clippy::needless_pass_by_value, reason = "a message is ended once")]
    pub fn end_message(&mut self, message: MessageStart) {
        let length = self.bytes.len().saturating_sub(message.start);
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        if let Some(bytes) = self.bytes.get_mut(message.start..message.start + 4) {
            bytes.copy_from_slice(&length.to_ne_bytes());
        }
    }
}

/// One message as it stands in a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The header.
    pub header: Header,
    /// What follows the header, without padding.
    pub payload: &'a [u8],
}

/// What a message from the kernel means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// An object, or an event.
    Data(Message<'a>),
    /// The end of a dump that went well.
    Done,
    /// The request went well.
    Acknowledged,
    /// The request, or the dump, failed.
    Failed(Error),
    /// Messages were lost.
    Overrun,
    /// Nothing.
    Noop,
}

impl<'a> Message<'a> {
    /// Whether what is dumped changed meanwhile.
    pub const fn is_interrupted(&self) -> bool {
        self.header.flags & NLM_F_DUMP_INTR != 0
    }

    /// The attributes behind the first `skip` bytes of payload, the subsystem's own header.
    pub fn attributes(&self, skip: usize) -> Attributes<'a> {
        Attributes::new(self.payload.get(skip..).unwrap_or_default())
    }

    /// Tells data from control messages.
    pub fn reply(self) -> Reply<'a> {
        match self.header.kind {
            NLMSG_NOOP => Reply::Noop,
            NLMSG_OVERRUN => Reply::Overrun,
            // `struct nlmsgerr`: the error number, the header of the request, and the rest of the
            // request unless the acknowledgement is capped.
            NLMSG_ERROR => self.outcome(Reply::Acknowledged, self.error_length()),
            // The error number alone (`netlink_dump_done`, `net/netlink/af_netlink.c`).
            NLMSG_DONE => self.outcome(Reply::Done, 4),
            _ => Reply::Data(self),
        }
    }

    fn outcome(self, good: Reply<'a>, skip: usize) -> Reply<'a> {
        // A `NLMSG_DONE` without payload is old, and good.
        let error = self
            .payload
            .first_chunk()
            .copied()
            .map_or(0, i32::from_ne_bytes);
        if error == 0 {
            return good;
        }
        let extended = if self.header.flags & NLM_F_ACK_TLVS == 0 {
            Attributes::new(&[])
        } else {
            self.attributes(skip)
        };
        let errno = error.checked_abs().unwrap_or(i32::MAX);
        Reply::Failed(Error::parse(errno, self.header.sequence, &extended))
    }

    /// The length of a `struct nlmsgerr` with what it repeats of the request.
    fn error_length(&self) -> usize {
        let capped = 4 + HEADER_LENGTH;
        if self.header.flags & NLM_F_CAPPED != 0 {
            return capped;
        }
        let repeated = self
            .payload
            .get(4..8)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u32::from_ne_bytes);
        usize::try_from(repeated).map_or(capped, |repeated| {
            capped.max(align(repeated.saturating_add(4)))
        })
    }
}

/// The messages of a datagram, in order.
///
/// The iteration ends before the first message whose length does not fit, so that it takes any
/// bytes and never panics.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    bytes: &'a [u8],
}

impl<'a> Messages<'a> {
    /// Reads messages from a datagram.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let (header, _) = self.bytes.split_first_chunk::<HEADER_LENGTH>()?;
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = *header;
        let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
        let payload = self.bytes.get(HEADER_LENGTH..length)?;
        self.bytes = self.bytes.get(align(length)..).unwrap_or_default();
        Some(Message {
            header: Header {
                kind: u16::from_ne_bytes([k0, k1]),
                flags: u16::from_ne_bytes([f0, f1]),
                sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            },
            payload,
        })
    }
}
