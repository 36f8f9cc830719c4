//! `counter`: count packets.

use std::hash::{Hash, Hasher};

use kpx_netlink::{Attributes, Writer};

/// Counts the packets and bytes that reach it. Two counters are equal whatever they counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter {
    /// Packets seen.
    pub packets: u64,
    /// Bytes seen.
    pub bytes: u64,
}

impl PartialEq for Counter {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Counter {}

impl Hash for Counter {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_counter_attributes`.
const NFTA_COUNTER_BYTES: u16 = 1;
const NFTA_COUNTER_PACKETS: u16 = 2;

impl Counter {
    pub(super) const NAME: &'static str = "counter";

    pub(super) fn emit(&self, writer: &mut Writer) {
        writer.put_be64(NFTA_COUNTER_BYTES, self.bytes);
        writer.put_be64(NFTA_COUNTER_PACKETS, self.packets);
    }

    pub(super) fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        Some(Self {
            packets: attributes.get(NFTA_COUNTER_PACKETS)?.as_be64()?,
            bytes: attributes.get(NFTA_COUNTER_BYTES)?.as_be64()?,
        })
    }
}
