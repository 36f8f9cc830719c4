//! `nat`: translate the destination address.

use kpx_netlink::{Attributes, Writer};

use super::Register;
use crate::Family;

/// Sends the connection to another address and port (`NFT_NAT_DNAT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DestinationNat {
    /// The family of the address.
    pub family: Family,
    /// Where the new address is.
    pub address: Register,
    /// Where the new port is, in network byte order.
    pub port: Register,
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_nat_attributes`.
const NFTA_NAT_TYPE: u16 = 1;
const NFTA_NAT_FAMILY: u16 = 2;
const NFTA_NAT_REG_ADDR_MIN: u16 = 3;
const NFTA_NAT_REG_ADDR_MAX: u16 = 4;
const NFTA_NAT_REG_PROTO_MIN: u16 = 5;
const NFTA_NAT_REG_PROTO_MAX: u16 = 6;
const NFTA_NAT_FLAGS: u16 = 7;

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_nat_types`.
const NFT_NAT_DNAT: u32 = 1;

/// What the kernel makes of an address and a port: `NF_NAT_RANGE_MAP_IPS` and
/// `NF_NAT_RANGE_PROTO_SPECIFIED` (`uapi/linux/netfilter/nf_nat.h`).
const ADDRESS_AND_PORT: u32 = 1 << 0 | 1 << 1;

impl DestinationNat {
    pub(super) const NAME: &'static str = "nat";

    pub(super) fn emit(self, writer: &mut Writer) {
        writer.put_be32(NFTA_NAT_TYPE, NFT_NAT_DNAT);
        writer.put_be32(NFTA_NAT_FAMILY, self.family as u32);
        self.address.emit(writer, NFTA_NAT_REG_ADDR_MIN);
        self.port.emit(writer, NFTA_NAT_REG_PROTO_MIN);
    }

    pub(super) fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        let address = Register::parse(attributes, NFTA_NAT_REG_ADDR_MIN)?;
        let port = Register::parse(attributes, NFTA_NAT_REG_PROTO_MIN)?;
        let is_range = Register::parse(attributes, NFTA_NAT_REG_ADDR_MAX)? != address
            || Register::parse(attributes, NFTA_NAT_REG_PROTO_MAX)? != port;
        let is_plain = attributes.get(NFTA_NAT_TYPE)?.as_be32()? == NFT_NAT_DNAT
            && attributes.get(NFTA_NAT_FLAGS)?.as_be32()? == ADDRESS_AND_PORT;
        if is_range || !is_plain {
            return None;
        }
        let family = attributes.get(NFTA_NAT_FAMILY)?.as_be32()?;
        Some(Self {
            family: Family::from_number(u8::try_from(family).ok()?)?,
            address,
            port,
        })
    }
}
