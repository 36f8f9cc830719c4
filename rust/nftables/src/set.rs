//! Sets and maps.
use std::time::Duration;

use kpx_netlink::{Attribute, Attributes, Writer};

use crate::message::NFTA_LIST_ELEM;
use crate::{Family, Name, Table, type_description};

/// The type of one field of a set's key or data. The numbers are `nft`'s own
/// (`libnftables`, `include/datatype.h`, `enum datatypes`): the kernel only stores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum DataType {
    /// A number in host byte order; only ever the slot of an endpoint (`numgen`'s result).
    Integer = 4,
    /// `ipv4_addr`, 4 bytes.
    Ipv4Address = 7,
    /// `ipv6_addr`, 16 bytes.
    Ipv6Address = 8,
    /// `inet_proto`, 1 byte.
    InetProto = 12,
    /// `inet_service`, 2 bytes in network byte order.
    InetService = 13,
    /// `classid`, 4 bytes in host byte order: the type of `meta priority`.
    ClassId = 23,
}

impl DataType {
    /// The address type of a family.
    pub const fn address(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self::Ipv4Address,
            Family::Ipv6 => Self::Ipv6Address,
        }
    }

    /// The length of a value, in bytes, without padding.
    pub const fn length(self) -> usize {
        match self {
            Self::Integer | Self::Ipv4Address | Self::ClassId => 4,
            Self::Ipv6Address => 16,
            Self::InetProto => 1,
            Self::InetService => 2,
        }
    }

    /// The length of a value as a field of a concatenation: padded to 32-bit registers.
    pub const fn padded_length(self) -> usize {
        self.length().next_multiple_of(4)
    }
}

/// What a set maps its keys to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SetKind {
    /// Nothing: membership only.
    Set,
    /// A value of these fields.
    Map(Vec<DataType>),
    /// A verdict.
    VerdictMap,
}

/// Properties of a set that are fixed when it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SetFlags {
    /// Keys are ranges (`NFT_SET_INTERVAL`); of a concatenation, in each field.
    pub interval: bool,
    /// Elements may expire (`NFT_SET_TIMEOUT`).
    pub timeout: bool,
    /// Rules add elements (`NFT_SET_EVAL`, `nft`'s `dynamic`).
    pub dynamic: bool,
}

/// A set, a map or a verdict map: its definition without its elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Set {
    /// The table that owns the set.
    pub table: Table,
    /// The name, unique in the table.
    pub name: Name,
    /// The fields of a key, in order.
    pub key: Vec<DataType>,
    /// What keys map to.
    pub kind: SetKind,
    /// Fixed properties.
    pub flags: SetFlags,
    /// The default timeout of elements.
    pub timeout: Option<Duration>,
    /// The greatest number of elements; needed for a dynamic set, which a peer's packets fill.
    pub size: Option<u32>,
}

impl Set {
    /// Whether keys map to something.
    pub fn is_map(&self) -> bool {
        self.kind != SetKind::Set
    }

    /// The length of a key in bytes, with each field of a concatenation padded.
    pub fn key_length(&self) -> usize {
        padded_length(&self.key)
    }

    /// The length of a value in bytes; 0 for plain sets and verdict maps.
    pub fn data_length(&self) -> usize {
        match &self.kind {
            SetKind::Map(fields) => padded_length(fields),
            SetKind::Set | SetKind::VerdictMap => 0,
        }
    }
}

/// The length of a concatenation; a single field is not padded.
fn padded_length(fields: &[DataType]) -> usize {
    match fields {
        [field] => field.length(),
        _ => fields.iter().map(|field| field.padded_length()).sum(),
    }
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_set_attributes`.
const NFTA_SET_NAME: u16 = 2;
const NFTA_SET_FLAGS: u16 = 3;
const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
const NFTA_SET_DATA_TYPE: u16 = 6;
const NFTA_SET_DATA_LEN: u16 = 7;
const NFTA_SET_DESC: u16 = 9;
const NFTA_SET_ID: u16 = 10;
const NFTA_SET_TIMEOUT: u16 = 11;
const NFTA_SET_USERDATA: u16 = 13;
/// Newer kernels only.
const NFTA_SET_COUNT: u16 = 20;

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_set_desc_attributes`.
const NFTA_SET_DESC_SIZE: u16 = 1;
const NFTA_SET_DESC_CONCAT: u16 = 2;

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_set_field_attributes`.
const NFTA_SET_FIELD_LEN: u16 = 1;

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_set_flags`.
const NFT_SET_INTERVAL: u32 = 0x4;
const NFT_SET_MAP: u32 = 0x8;
const NFT_SET_TIMEOUT: u32 = 0x10;
const NFT_SET_EVAL: u32 = 0x20;
const NFT_SET_CONCAT: u32 = 0x80;

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_data_types`.
const NFT_DATA_VERDICT: u32 = 0xffff_ff00;

/// How far libnftables shifts a field's type in the type of a concatenation (`TYPE_BITS`,
/// `datatype.h`).
const TYPE_BITS: u32 = 6;

/// Appends a time in milliseconds.
pub(crate) fn put_milliseconds(writer: &mut Writer, kind: u16, time: Duration) {
    writer.put_be64(kind, u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
}

/// Reads a time in milliseconds.
pub(crate) fn milliseconds(attribute: Attribute<'_>) -> Option<Duration> {
    attribute.as_be64().map(Duration::from_millis)
}

/// The number of entries the kernel keeps for a set; `None` from a kernel that does not say.
pub(crate) fn element_count(attributes: &Attributes<'_>) -> Option<usize> {
    usize::try_from(attributes.get(NFTA_SET_COUNT)?.as_be32()?).ok()
}

impl Set {
    /// Whether an interval is kept as two elements, its first key and the key behind its last: so
    /// the kernel does for sets of one field.
    pub(crate) fn has_paired_intervals(&self) -> bool {
        self.flags.interval && self.key.len() == 1
    }

    /// Whether an interval is one element with a first and a last key.
    pub(crate) fn is_concatenation_of_intervals(&self) -> bool {
        self.flags.interval && self.key.len() > 1
    }

    /// Appends the definition; `id` tells the sets of a batch apart.
    pub(crate) fn emit(&self, writer: &mut Writer, id: u32) {
        self.emit_reference(writer);
        writer.put_be32(NFTA_SET_ID, id);
        writer.put_be32(NFTA_SET_FLAGS, self.flag_bits());
        writer.put_be32(NFTA_SET_KEY_TYPE, type_number(&self.key));
        writer.put_be32(NFTA_SET_KEY_LEN, length(self.key_length()));
        match &self.kind {
            SetKind::Set => {}
            SetKind::Map(fields) => {
                writer.put_be32(NFTA_SET_DATA_TYPE, type_number(fields));
                writer.put_be32(NFTA_SET_DATA_LEN, length(self.data_length()));
            }
            SetKind::VerdictMap => writer.put_be32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT),
        }
        self.emit_description(writer);
        if let Some(timeout) = self.timeout {
            put_milliseconds(writer, NFTA_SET_TIMEOUT, timeout);
        }
        if let Some(user_data) = type_description::encode(self) {
            writer.put(NFTA_SET_USERDATA, &user_data);
        }
    }

    /// Appends only what finds the set. The elements' messages name table and set by attributes
    /// of the same kinds.
    pub(crate) fn emit_reference(&self, writer: &mut Writer) {
        self.table.emit(writer);
        writer.put_string(NFTA_SET_NAME, &self.name);
    }

    fn emit_description(&self, writer: &mut Writer) {
        let has_ranges = self.flags.interval && self.key.len() > 1;
        if self.size.is_none() && !has_ranges {
            return;
        }
        let nest = writer.open(NFTA_SET_DESC);
        if let Some(size) = self.size {
            writer.put_be32(NFTA_SET_DESC_SIZE, size);
        }
        if has_ranges {
            let fields = writer.open(NFTA_SET_DESC_CONCAT);
            for field in &self.key {
                let entry = writer.open(NFTA_LIST_ELEM);
                writer.put_be32(NFTA_SET_FIELD_LEN, length(field.length()));
                writer.close(entry);
            }
            writer.close(fields);
        }
        writer.close(nest);
    }

    fn flag_bits(&self) -> u32 {
        let has_ranges = self.flags.interval && self.key.len() > 1;
        [
            (self.flags.interval, NFT_SET_INTERVAL),
            (self.is_map(), NFT_SET_MAP),
            (self.flags.timeout, NFT_SET_TIMEOUT),
            (self.flags.dynamic, NFT_SET_EVAL),
            (has_ranges, NFT_SET_CONCAT),
        ]
        .into_iter()
        .filter(|(is_set, _)| *is_set)
        .fold(0, |bits, (_, bit)| bits | bit)
    }

    /// Reads a definition. A set of a form that kpx never makes reads as a plain set without key
    /// fields, so that it equals no set of kpx.
    pub(crate) fn parse(table: &Table, attributes: &Attributes<'_>) -> Option<Self> {
        let name = Name::from(attributes.get(NFTA_SET_NAME)?.as_str()?);
        let known = Self::parse_known(table, &name, attributes);
        Some(known.unwrap_or_else(|| Self {
            table: table.clone(),
            name,
            key: Vec::new(),
            kind: SetKind::Set,
            flags: SetFlags::default(),
            timeout: None,
            size: None,
        }))
    }

    fn parse_known(table: &Table, name: &Name, attributes: &Attributes<'_>) -> Option<Self> {
        let number = |kind| attributes.get(kind)?.as_be32();
        let bits = number(NFTA_SET_FLAGS).unwrap_or_default();
        let kind = match number(NFTA_SET_DATA_TYPE) {
            _ if bits & NFT_SET_MAP == 0 => SetKind::Set,
            Some(NFT_DATA_VERDICT) => SetKind::VerdictMap,
            data_type => SetKind::Map(types(data_type?)?),
        };
        let description = attributes.get(NFTA_SET_DESC).map(Attribute::nested);
        let set = Self {
            table: table.clone(),
            name: name.clone(),
            key: types(number(NFTA_SET_KEY_TYPE)?)?,
            kind,
            flags: SetFlags {
                interval: bits & NFT_SET_INTERVAL != 0,
                timeout: bits & NFT_SET_TIMEOUT != 0,
                dynamic: bits & NFT_SET_EVAL != 0,
            },
            timeout: attributes.get(NFTA_SET_TIMEOUT).and_then(milliseconds),
            size: description.and_then(|list| list.get(NFTA_SET_DESC_SIZE)?.as_be32()),
        };
        // The kernel gives verdicts a length too: that of its own structure.
        let has_expected_data = set.kind == SetKind::VerdictMap
            || number(NFTA_SET_DATA_LEN).unwrap_or_default() == length(set.data_length());
        let has_expected_form = set.flag_bits() == bits
            && number(NFTA_SET_KEY_LEN) == Some(length(set.key_length()))
            && has_expected_data;
        has_expected_form.then_some(set)
    }
}

impl DataType {
    fn from_number(number: u32) -> Option<Self> {
        [
            Self::Integer,
            Self::Ipv4Address,
            Self::Ipv6Address,
            Self::InetProto,
            Self::InetService,
            Self::ClassId,
        ]
        .into_iter()
        .find(|data_type| *data_type as u32 == number)
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// The number of a concatenation's type: the first field in the highest bits.
fn type_number(fields: &[DataType]) -> u32 {
    fields
        .iter()
        .fold(0, |number, field| number << TYPE_BITS | *field as u32)
}

fn types(mut number: u32) -> Option<Vec<DataType>> {
    let mut fields = Vec::new();
    while number != 0 {
        fields.push(DataType::from_number(number & ((1 << TYPE_BITS) - 1))?);
        number >>= TYPE_BITS;
    }
    fields.reverse();
    (!fields.is_empty()).then_some(fields)
}
