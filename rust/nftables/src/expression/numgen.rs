//! `numgen`: generate a number.

use kpx_netlink::{Attributes, Writer};

use super::Register;

/// Loads a random number below `modulus`, in host byte order (`NFT_NG_RANDOM`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RandomNumber {
    /// One more than the greatest number.
    pub modulus: u32,
    /// Where it goes.
    pub destination: Register,
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_ng_attributes`.
const NFTA_NG_DREG: u16 = 1;
const NFTA_NG_MODULUS: u16 = 2;
const NFTA_NG_TYPE: u16 = 3;
const NFTA_NG_OFFSET: u16 = 4;

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_ng_types`.
const NFT_NG_RANDOM: u32 = 1;

impl RandomNumber {
    pub(super) const NAME: &'static str = "numgen";

    pub(super) fn emit(self, writer: &mut Writer) {
        self.destination.emit(writer, NFTA_NG_DREG);
        writer.put_be32(NFTA_NG_MODULUS, self.modulus);
        writer.put_be32(NFTA_NG_TYPE, NFT_NG_RANDOM);
        writer.put_be32(NFTA_NG_OFFSET, 0);
    }

    pub(super) fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        let is_plain = attributes.get(NFTA_NG_TYPE)?.as_be32()? == NFT_NG_RANDOM
            && attributes.get(NFTA_NG_OFFSET)?.as_be32()? == 0;
        if !is_plain {
            return None;
        }
        Some(Self {
            modulus: attributes.get(NFTA_NG_MODULUS)?.as_be32()?,
            destination: Register::parse(attributes, NFTA_NG_DREG)?,
        })
    }
}
