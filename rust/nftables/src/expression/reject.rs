//! `reject`: refuse the packet with an ICMP error.

use kpx_netlink::{Attributes, Writer};

/// Answers with an ICMP or ICMPv6 "port unreachable" and drops the packet
/// (`NFT_REJECT_ICMP_UNREACH`, code 3 for IPv4 and 4 for IPv6: `nft`'s default for `reject`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reject {
    /// The ICMP code.
    pub code: u8,
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_reject_attributes`.
const NFTA_REJECT_TYPE: u16 = 1;
const NFTA_REJECT_ICMP_CODE: u16 = 2;

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_reject_types`.
const NFT_REJECT_ICMP_UNREACH: u32 = 0;

impl Reject {
    pub(super) const NAME: &'static str = "reject";

    pub(super) fn emit(self, writer: &mut Writer) {
        writer.put_be32(NFTA_REJECT_TYPE, NFT_REJECT_ICMP_UNREACH);
        writer.put_u8(NFTA_REJECT_ICMP_CODE, self.code);
    }

    pub(super) fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        if attributes.get(NFTA_REJECT_TYPE)?.as_be32()? != NFT_REJECT_ICMP_UNREACH {
            return None;
        }
        Some(Self {
            code: attributes.get(NFTA_REJECT_ICMP_CODE)?.as_u8()?,
        })
    }
}
