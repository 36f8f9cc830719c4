//! Elements of sets and maps.
use std::time::Duration;

use kpx_netlink::{Attributes, Writer};
use smallvec::SmallVec;

use crate::expression::Counter;
use crate::message::NFTA_LIST_ELEM;
use crate::{Expression, Name, Set, Verdict, comment, data, set};

/// The bytes of a key or a value, as they stand in the kernel's registers. 32 bytes are kept
/// inline: enough for every IPv4 key and for the IPv6 key of an endpoint.
pub type Bytes = SmallVec<[u8; 32]>;

/// What an element maps its key to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Data {
    /// Nothing: the element of a plain set.
    None,
    /// A value: the element of a map.
    Value(Bytes),
    /// A verdict: the element of a verdict map.
    Verdict(Verdict),
}

/// One element of a set or map.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Element {
    /// The key; for an interval, its first value in each field.
    pub key: Bytes,
    /// For an interval, the last value in each field; `None`, and not the key again, if there is
    /// but one.
    pub key_end: Option<Bytes>,
    /// What the key maps to.
    pub data: Data,
    /// A comment that `nft list` shows with the element.
    pub comment: Option<Name>,
    /// The element's own timeout, where it differs from the set's default.
    pub timeout: Option<Duration>,
    /// Counts the packets that find the element. The kernel takes one whether or not the set asks
    /// for it of each element; `nft` only loads what the set asks for.
    pub counter: Option<Counter>,
}

impl Element {
    /// An element without comment or timeout.
    pub fn new(key: Bytes, data: Data) -> Self {
        Self {
            key,
            key_end: None,
            data,
            comment: None,
            timeout: None,
            counter: None,
        }
    }
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_set_elem_attributes`.
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_DATA: u16 = 2;
const NFTA_SET_ELEM_FLAGS: u16 = 3;
const NFTA_SET_ELEM_TIMEOUT: u16 = 4;
const NFTA_SET_ELEM_USERDATA: u16 = 6;
const NFTA_SET_ELEM_EXPR: u16 = 7;
const NFTA_SET_ELEM_KEY_END: u16 = 10;

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_set_elem_flags`.
const NFT_SET_ELEM_INTERVAL_END: u32 = 0x1;
const NFT_SET_ELEM_CATCHALL: u32 = 0x2;

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_set_elem_list_attributes`.
pub(crate) const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;

/// An entry of a list of elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// An element; of a paired interval, its start.
    Element(Element),
    /// The key behind the last of a paired interval.
    IntervalEnd(Bytes),
}

impl Element {
    /// Appends the element to a list, whole.
    pub(crate) fn emit(&self, writer: &mut Writer, set: &Set) {
        let entry = writer.open(NFTA_LIST_ELEM);
        self.emit_key(writer, set);
        match &self.data {
            Data::None => {}
            Data::Value(value) => data::put_value(writer, NFTA_SET_ELEM_DATA, value),
            Data::Verdict(verdict) => data::put_verdict(writer, NFTA_SET_ELEM_DATA, verdict),
        }
        if let Some(timeout) = self.timeout {
            set::put_milliseconds(writer, NFTA_SET_ELEM_TIMEOUT, timeout);
        }
        if let Some(comment) = &self.comment {
            comment::emit(writer, NFTA_SET_ELEM_USERDATA, comment);
        }
        if let Some(counter) = self.counter {
            let nest = writer.open(NFTA_SET_ELEM_EXPR);
            Expression::Counter(counter).emit(writer);
            writer.close(nest);
        }
        writer.close(entry);
        self.emit_interval_end(writer, set);
    }

    /// Appends only what finds the element.
    pub(crate) fn emit_reference(&self, writer: &mut Writer, set: &Set) {
        let entry = writer.open(NFTA_LIST_ELEM);
        self.emit_key(writer, set);
        writer.close(entry);
        self.emit_interval_end(writer, set);
    }

    fn emit_key(&self, writer: &mut Writer, set: &Set) {
        data::put_value(writer, NFTA_SET_ELEM_KEY, &self.key);
        // The kernel takes a missing end for the key, but `nft list` takes the next element's key
        // for it (`concat_range_aggregate` of nftables' `segtree.c`).
        if set.is_concatenation_of_intervals() {
            let key_end = self.key_end.as_ref().unwrap_or(&self.key);
            data::put_value(writer, NFTA_SET_ELEM_KEY_END, key_end);
        }
    }

    /// Appends the end of a paired interval, unless it reaches to the last key there is.
    fn emit_interval_end(&self, writer: &mut Writer, set: &Set) {
        if !set.has_paired_intervals() {
            return;
        }
        if let Some(behind) = successor(self.key_end.as_ref().unwrap_or(&self.key)) {
            let entry = writer.open(NFTA_LIST_ELEM);
            writer.put_be32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
            data::put_value(writer, NFTA_SET_ELEM_KEY, &behind);
            writer.close(entry);
        }
    }
}

impl Entry {
    /// Reads an entry; `None` for one that kpx never makes, such as the catch-all element.
    pub(crate) fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        let mut key = None;
        let mut key_end = None;
        let mut value = Data::None;
        let mut flags = 0;
        let mut timeout = None;
        let mut text = None;
        let mut counter = None;
        for attribute in attributes.clone() {
            match attribute.kind {
                NFTA_SET_ELEM_KEY => key = data::value(attribute),
                NFTA_SET_ELEM_KEY_END => key_end = data::value(attribute),
                NFTA_SET_ELEM_DATA => {
                    value = match data::value(attribute) {
                        Some(value) => Data::Value(value),
                        None => Data::Verdict(data::verdict(attribute)?),
                    }
                }
                NFTA_SET_ELEM_FLAGS => flags = attribute.as_be32()?,
                NFTA_SET_ELEM_TIMEOUT => timeout = set::milliseconds(attribute),
                NFTA_SET_ELEM_USERDATA => text = comment::parse(attribute),
                NFTA_SET_ELEM_EXPR => {
                    if let Some(Expression::Counter(found)) = Expression::parse(&attribute.nested())
                    {
                        counter = Some(found);
                    }
                }
                _ => {}
            }
        }
        let key = key?;
        if flags & NFT_SET_ELEM_CATCHALL != 0 {
            return None;
        }
        if flags & NFT_SET_ELEM_INTERVAL_END != 0 {
            return Some(Self::IntervalEnd(key));
        }
        Some(Self::Element(Element {
            key_end: key_end.filter(|key_end| *key_end != key),
            key,
            data: value,
            comment: text,
            timeout,
            counter,
        }))
    }
}

/// Completes the starts of paired intervals by their ends. Both are in any order: the kernel
/// lists them from the highest key to the lowest.
pub(crate) fn join_intervals(starts: &mut [Element], ends: &mut [Bytes]) {
    starts.sort_unstable_by(|left, right| left.key.cmp(&right.key));
    ends.sort_unstable();
    let mut ends = ends.iter().peekable();
    for start in starts {
        while ends.next_if(|end| **end <= start.key).is_some() {}
        let last = match ends.peek() {
            Some(end) => predecessor(end),
            // Without end the interval reaches to the last key there is.
            None => Bytes::from_elem(u8::MAX, start.key.len()),
        };
        start.key_end = Some(last).filter(|last| *last != start.key);
    }
}

/// The next key; `None` behind the last one.
fn successor(key: &Bytes) -> Option<Bytes> {
    let mut next = key.clone();
    for byte in next.iter_mut().rev() {
        let (sum, carries) = byte.overflowing_add(1);
        *byte = sum;
        if !carries {
            return Some(next);
        }
    }
    None
}

/// The key before one that is not the first.
fn predecessor(key: &Bytes) -> Bytes {
    let mut previous = key.clone();
    for byte in previous.iter_mut().rev() {
        let (difference, borrows) = byte.overflowing_sub(1);
        *byte = difference;
        if !borrows {
            break;
        }
    }
    previous
}

#[cfg(test)]
mod tests;
