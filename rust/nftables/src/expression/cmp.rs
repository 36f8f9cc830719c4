//! `cmp`: go on with the rule only if a register compares.

use kpx_netlink::{Attributes, Writer};

use super::Register;
use crate::{Bytes, data};

/// How a register is compared (`enum nft_cmp_ops`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum CompareOperator {
    /// Equal.
    Equal = 0,
    /// Not equal.
    NotEqual = 1,
}

/// Ends the rule unless the register compares to the value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Compare {
    /// How to compare.
    pub operator: CompareOperator,
    /// The left side.
    pub source: Register,
    /// The right side, as long as the bytes compared.
    pub value: Bytes,
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_cmp_attributes`.
const NFTA_CMP_SREG: u16 = 1;
const NFTA_CMP_OP: u16 = 2;
const NFTA_CMP_DATA: u16 = 3;

impl Compare {
    pub(super) const NAME: &'static str = "cmp";

    pub(super) fn emit(&self, writer: &mut Writer) {
        self.source.emit(writer, NFTA_CMP_SREG);
        writer.put_be32(NFTA_CMP_OP, self.operator as u32);
        data::put_value(writer, NFTA_CMP_DATA, &self.value);
    }

    pub(super) fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        Some(Self {
            operator: CompareOperator::from_number(attributes.get(NFTA_CMP_OP)?.as_be32()?)?,
            source: Register::parse(attributes, NFTA_CMP_SREG)?,
            value: data::value(attributes.get(NFTA_CMP_DATA)?)?,
        })
    }
}

impl CompareOperator {
    fn from_number(number: u32) -> Option<Self> {
        [Self::Equal, Self::NotEqual]
            .into_iter()
            .find(|operator| *operator as u32 == number)
    }
}
