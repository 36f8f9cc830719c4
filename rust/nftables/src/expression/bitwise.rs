//! `bitwise`: mask and flip bits of a register.

use kpx_netlink::{Attributes, Writer};

use super::Register;
use crate::{Bytes, data};

/// Computes `destination = (source & mask) ^ xor`; all have the same length.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bitwise {
    /// The value worked on.
    pub source: Register,
    /// Where the result goes.
    pub destination: Register,
    /// The bits that stay.
    pub mask: Bytes,
    /// The bits that are flipped.
    pub xor: Bytes,
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_bitwise_attributes`.
const NFTA_BITWISE_SREG: u16 = 1;
const NFTA_BITWISE_DREG: u16 = 2;
const NFTA_BITWISE_LEN: u16 = 3;
const NFTA_BITWISE_MASK: u16 = 4;
const NFTA_BITWISE_XOR: u16 = 5;
const NFTA_BITWISE_OP: u16 = 6;

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_bitwise_ops`.
const NFT_BITWISE_MASK_XOR: u32 = 0;

impl Bitwise {
    pub(super) const NAME: &'static str = "bitwise";

    pub(super) fn emit(&self, writer: &mut Writer) {
        let length = u32::try_from(self.mask.len()).unwrap_or(u32::MAX);
        self.source.emit(writer, NFTA_BITWISE_SREG);
        self.destination.emit(writer, NFTA_BITWISE_DREG);
        writer.put_be32(NFTA_BITWISE_LEN, length);
        writer.put_be32(NFTA_BITWISE_OP, NFT_BITWISE_MASK_XOR);
        data::put_value(writer, NFTA_BITWISE_MASK, &self.mask);
        data::put_value(writer, NFTA_BITWISE_XOR, &self.xor);
    }

    pub(super) fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        // Kernels before 5.6 know one operation and do not name it.
        if let Some(operation) = attributes.get(NFTA_BITWISE_OP)
            && operation.as_be32()? != NFT_BITWISE_MASK_XOR
        {
            return None;
        }
        Some(Self {
            source: Register::parse(attributes, NFTA_BITWISE_SREG)?,
            destination: Register::parse(attributes, NFTA_BITWISE_DREG)?,
            mask: data::value(attributes.get(NFTA_BITWISE_MASK)?)?,
            xor: data::value(attributes.get(NFTA_BITWISE_XOR)?)?,
        })
    }
}
