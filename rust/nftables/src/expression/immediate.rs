//! `immediate`: put a constant into a register, or give a verdict.

use kpx_netlink::{Attributes, Writer};

use super::register::NFT_REG_VERDICT;
use super::{Register, Verdict};
use crate::{Bytes, data};

/// A constant, or the verdict that ends the rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Immediate {
    /// Load a constant.
    Value {
        /// Where it goes.
        destination: Register,
        /// The constant.
        value: Bytes,
    },
    /// Give a verdict.
    Verdict(Verdict),
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_immediate_attributes`.
const NFTA_IMMEDIATE_DREG: u16 = 1;
const NFTA_IMMEDIATE_DATA: u16 = 2;

impl Immediate {
    pub(super) const NAME: &'static str = "immediate";

    pub(super) fn emit(&self, writer: &mut Writer) {
        match self {
            Self::Value { destination, value } => {
                destination.emit(writer, NFTA_IMMEDIATE_DREG);
                data::put_value(writer, NFTA_IMMEDIATE_DATA, value);
            }
            Self::Verdict(verdict) => {
                writer.put_be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
                data::put_verdict(writer, NFTA_IMMEDIATE_DATA, verdict);
            }
        }
    }

    pub(super) fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        let register = attributes.get(NFTA_IMMEDIATE_DREG)?.as_be32()?;
        let constant = attributes.get(NFTA_IMMEDIATE_DATA)?;
        if register == NFT_REG_VERDICT {
            return data::verdict(constant).map(Self::Verdict);
        }
        Some(Self::Value {
            destination: Register::from_number(register)?,
            value: data::value(constant)?,
        })
    }
}
