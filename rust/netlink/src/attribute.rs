//! Attributes: the typed, nested, 4-byte aligned payload of a message.
//!
//! ```text
//!  0               2               4
//! +---------------+---------------+-------------------+---------+
//! | length (u16)  | kind (u16)    | payload           | padding |
//! +---------------+---------------+-------------------+---------+
//! ```
//!
//! `struct nlattr` of `uapi/linux/netlink.h`. The length counts the header and the payload and
//! not the padding.

/// The length of an attribute's header (`NLA_HDRLEN`).
pub const HEADER_LENGTH: usize = 4;

/// The payload is itself a list of attributes (`uapi/linux/netlink.h`).
pub const NLA_F_NESTED: u16 = 1 << 15;

/// The payload is in network byte order (`uapi/linux/netlink.h`).
pub const NLA_F_NET_BYTEORDER: u16 = 1 << 14;

/// The bits of the kind that are the kind (`NLA_TYPE_MASK`).
const NLA_TYPE_MASK: u16 = !(NLA_F_NESTED | NLA_F_NET_BYTEORDER);

/// Rounds up to the alignment of attributes and messages (`NLA_ALIGN`, `NLMSG_ALIGN`).
pub(crate) const fn align(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// A nested attribute that has been opened and not yet closed.
#[derive(Debug)]
#[must_use = "a nested attribute has no length until it is closed"]
pub struct Nest {
    start: usize,
}

/// Appends messages and their attributes to a buffer.
///
/// An attribute's length has 16 bits. A longer payload is the caller's fault: the length is then
/// written as 65,535, which makes the kernel refuse the message. Callers that fill an attribute
/// without a natural bound compare [`Writer::nested_length`] with [`Writer::MAX_ATTRIBUTE`].
#[derive(Clone, Debug, Default)]
pub struct Writer {
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    /// The greatest length of an attribute, its header included.
    pub const MAX_ATTRIBUTE: usize = u16::MAX as usize;

    /// A writer with an empty buffer.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// What has been written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives the buffer away.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The number of bytes written.
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing has been written.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes back everything written after the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }

    /// Forgets everything written and keeps the buffer's memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Appends bytes as they are: a protocol's own header behind the message header, or
    /// attributes that are already encoded.
    pub fn put_raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.pad();
    }

    /// Appends an attribute.
    pub fn put(&mut self, kind: u16, payload: &[u8]) {
        self.put_header(kind, payload.len());
        self.bytes.extend_from_slice(payload);
        self.pad();
    }

    /// Appends an attribute whose payload is several pieces, one behind the other.
    pub fn put_pieces(&mut self, kind: u16, pieces: &[&[u8]]) {
        self.put_header(kind, pieces.iter().map(|piece| piece.len()).sum());
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
        self.pad();
    }

    /// Appends a string with its terminating NUL.
    pub fn put_string(&mut self, kind: u16, text: &str) {
        self.put_pieces(kind, &[text.as_bytes(), &[0]]);
    }

    /// Appends one byte.
    pub fn put_u8(&mut self, kind: u16, value: u8) {
        self.put(kind, &[value]);
    }

    /// Appends a 16-bit number in host byte order.
    pub fn put_u16(&mut self, kind: u16, value: u16) {
        self.put(kind, &value.to_ne_bytes());
    }

    /// Appends a 32-bit number in host byte order.
    pub fn put_u32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_ne_bytes());
    }

    /// Appends a 16-bit number in network byte order.
    pub fn put_be16(&mut self, kind: u16, value: u16) {
        self.put(kind, &value.to_be_bytes());
    }

    /// Appends a 32-bit number in network byte order.
    pub fn put_be32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    /// Appends a 64-bit number in network byte order.
    pub fn put_be64(&mut self, kind: u16, value: u64) {
        self.put(kind, &value.to_be_bytes());
    }

    /// Opens a nested attribute: what is appended until [`Writer::close`] is its payload.
    pub fn open(&mut self, kind: u16) -> Nest {
        let start = self.bytes.len();
        self.put_header(kind | NLA_F_NESTED, 0);
        Nest { start }
    }

    /// Closes a nested attribute.
    #[expect(clippy::needless_pass_by_value, reason = "a nest is closed once")]
    pub fn close(&mut self, nest: Nest) {
        let length = saturated(self.nested_length(&nest));
        if let Some(bytes) = self.bytes.get_mut(nest.start..nest.start + 2) {
            bytes.copy_from_slice(&length.to_ne_bytes());
        }
    }

    /// The length a nested attribute has so far, its header included.
    pub const fn nested_length(&self, nest: &Nest) -> usize {
        self.bytes.len().saturating_sub(nest.start)
    }

    fn put_header(&mut self, kind: u16, payload_length: usize) {
        let [length_0, length_1] = saturated(HEADER_LENGTH + payload_length).to_ne_bytes();
        let [kind_0, kind_1] = kind.to_ne_bytes();
        self.bytes
            .extend_from_slice(&[length_0, length_1, kind_0, kind_1]);
    }

    fn pad(&mut self) {
        self.bytes.resize(align(self.bytes.len()), 0);
    }
}

fn saturated(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// One attribute as it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The kind, without [`NLA_F_NESTED`] and [`NLA_F_NET_BYTEORDER`].
    pub kind: u16,
    /// The payload without padding.
    pub payload: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The payload as a list of attributes.
    pub const fn nested(self) -> Attributes<'a> {
        Attributes::new(self.payload)
    }

    /// The payload as text, up to its first NUL or its end; `None` if it is not UTF-8.
    pub fn as_str(self) -> Option<&'a str> {
        let text = self.payload.split(|byte| *byte == 0).next()?;
        std::str::from_utf8(text).ok()
    }

    /// The payload as one byte; `None` if it has another length.
    pub fn as_u8(self) -> Option<u8> {
        self.array().map(u8::from_ne_bytes)
    }

    /// The payload as a number in host byte order; `None` if it has another length.
    pub fn as_u16(self) -> Option<u16> {
        self.array().map(u16::from_ne_bytes)
    }

    /// The payload as a number in host byte order; `None` if it has another length.
    pub fn as_u32(self) -> Option<u32> {
        self.array().map(u32::from_ne_bytes)
    }

    /// The payload as a number in host byte order; `None` if it has another length.
    pub fn as_u64(self) -> Option<u64> {
        self.array().map(u64::from_ne_bytes)
    }

    /// The payload as a number in network byte order; `None` if it has another length.
    pub fn as_be16(self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// The payload as a number in network byte order; `None` if it has another length.
    pub fn as_be32(self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// The payload as a number in network byte order; `None` if it has another length.
    pub fn as_be64(self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn array<const LENGTH: usize>(self) -> Option<[u8; LENGTH]> {
        self.payload.try_into().ok()
    }
}

/// What [`Attributes::covering`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covering<'a> {
    /// The place in the list, from 0.
    pub index: usize,
    /// The position of the payload in the message.
    pub payload_start: usize,
    /// The attribute.
    pub attribute: Attribute<'a>,
}

/// The attributes of a message or of a nested attribute, in order.
///
/// The iteration ends before the first attribute whose length does not fit, so that it takes any
/// bytes and never panics.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Reads attributes from bytes that start with one.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The bytes not yet read.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The first attribute of a kind among those not yet read.
    pub fn get(&self, kind: u16) -> Option<Attribute<'a>> {
        self.clone().find(|attribute| attribute.kind == kind)
    }

    /// The attribute that covers a position in the message, where the list starts at the position
    /// `start`; with its place in the list and the position of its payload.
    pub fn covering(&self, start: usize, position: usize) -> Option<Covering<'a>> {
        let mut end = start;
        self.clone().enumerate().find_map(|(index, attribute)| {
            let payload_start = end + HEADER_LENGTH;
            end = payload_start + align(attribute.payload.len());
            (position < end).then_some(Covering {
                index,
                payload_start,
                attribute,
            })
        })
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let (&[length_0, length_1, kind_0, kind_1], _) =
            self.bytes.split_first_chunk::<HEADER_LENGTH>()?;
        let length = usize::from(u16::from_ne_bytes([length_0, length_1]));
        let payload = self.bytes.get(HEADER_LENGTH..length)?;
        self.bytes = self.bytes.get(align(length)..).unwrap_or_default();
        Some(Attribute {
            kind: u16::from_ne_bytes([kind_0, kind_1]) & NLA_TYPE_MASK,
            payload,
        })
    }
}
