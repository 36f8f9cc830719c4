//! `payload`: load bytes of the packet.

use kpx_netlink::{Attributes, Writer};

use super::Register;

/// The header a payload offset counts from (`enum nft_payload_bases`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum PayloadBase {
    /// The IPv4 or IPv6 header: `NFT_PAYLOAD_NETWORK_HEADER`.
    Network = 1,
    /// The TCP, UDP or SCTP header: `NFT_PAYLOAD_TRANSPORT_HEADER`.
    Transport = 2,
}

/// Loads `length` bytes at `offset` into `destination`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Payload {
    /// The header the offset counts from.
    pub base: PayloadBase,
    /// The first byte.
    pub offset: u32,
    /// The number of bytes.
    pub length: u32,
    /// Where the bytes go.
    pub destination: Register,
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_payload_attributes`.
const NFTA_PAYLOAD_DREG: u16 = 1;
const NFTA_PAYLOAD_BASE: u16 = 2;
const NFTA_PAYLOAD_OFFSET: u16 = 3;
const NFTA_PAYLOAD_LEN: u16 = 4;

impl Payload {
    pub(super) const NAME: &'static str = "payload";

    pub(super) fn emit(&self, writer: &mut Writer) {
        self.destination.emit(writer, NFTA_PAYLOAD_DREG);
        writer.put_be32(NFTA_PAYLOAD_BASE, self.base as u32);
        writer.put_be32(NFTA_PAYLOAD_OFFSET, self.offset);
        writer.put_be32(NFTA_PAYLOAD_LEN, self.length);
    }

    pub(super) fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        Some(Self {
            base: PayloadBase::from_number(attributes.get(NFTA_PAYLOAD_BASE)?.as_be32()?)?,
            offset: attributes.get(NFTA_PAYLOAD_OFFSET)?.as_be32()?,
            length: attributes.get(NFTA_PAYLOAD_LEN)?.as_be32()?,
            destination: Register::parse(attributes, NFTA_PAYLOAD_DREG)?,
        })
    }
}

impl PayloadBase {
    fn from_number(number: u32) -> Option<Self> {
        [Self::Network, Self::Transport]
            .into_iter()
            .find(|base| *base as u32 == number)
    }
}
