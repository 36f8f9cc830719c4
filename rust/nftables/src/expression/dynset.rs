//! `dynset`: change a set from the packet path.

use std::time::Duration;

use kpx_netlink::{Attributes, Writer};

use super::Register;
use crate::{Name, set};

/// What is done to the set (`enum nft_dynset_ops`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum DynamicSetOperation {
    /// Add the key if it is missing: `NFT_DYNSET_OP_ADD`.
    Add = 0,
    /// Add the key, or restart its timeout: `NFT_DYNSET_OP_UPDATE`.
    Update = 1,
    /// Delete the key: `NFT_DYNSET_OP_DELETE`.
    Delete = 2,
}

/// Adds, refreshes or deletes an element.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DynamicSet {
    /// What is done.
    pub operation: DynamicSetOperation,
    /// The set or map.
    pub set: Name,
    /// Where the key starts.
    pub key: Register,
    /// Where the value starts, for a map.
    pub data: Option<Register>,
    /// The element's timeout, where it differs from the set's default.
    pub timeout: Option<Duration>,
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_dynset_attributes`.
const NFTA_DYNSET_SET_NAME: u16 = 1;
const NFTA_DYNSET_OP: u16 = 3;
const NFTA_DYNSET_SREG_KEY: u16 = 4;
const NFTA_DYNSET_SREG_DATA: u16 = 5;
const NFTA_DYNSET_TIMEOUT: u16 = 6;
const NFTA_DYNSET_FLAGS: u16 = 9;

impl DynamicSet {
    pub(super) const NAME: &'static str = "dynset";

    pub(super) fn emit(&self, writer: &mut Writer) {
        writer.put_string(NFTA_DYNSET_SET_NAME, &self.set);
        writer.put_be32(NFTA_DYNSET_OP, self.operation as u32);
        self.key.emit(writer, NFTA_DYNSET_SREG_KEY);
        if let Some(data) = self.data {
            data.emit(writer, NFTA_DYNSET_SREG_DATA);
        }
        if let Some(timeout) = self.timeout {
            set::put_milliseconds(writer, NFTA_DYNSET_TIMEOUT, timeout);
        }
    }

    pub(super) fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        // Flags invert the result or carry expressions.
        if let Some(flags) = attributes.get(NFTA_DYNSET_FLAGS)
            && flags.as_be32()? != 0
        {
            return None;
        }
        let operation = attributes.get(NFTA_DYNSET_OP)?.as_be32()?;
        Some(Self {
            operation: DynamicSetOperation::from_number(operation)?,
            set: Name::from(attributes.get(NFTA_DYNSET_SET_NAME)?.as_str()?),
            key: Register::parse(attributes, NFTA_DYNSET_SREG_KEY)?,
            data: match attributes.get(NFTA_DYNSET_SREG_DATA) {
                Some(data) => Some(Register::from_number(data.as_be32()?)?),
                None => None,
            },
            // The kernel lists 0 where there is none.
            timeout: attributes
                .get(NFTA_DYNSET_TIMEOUT)
                .and_then(set::milliseconds)
                .filter(|timeout| !timeout.is_zero()),
        })
    }
}

impl DynamicSetOperation {
    fn from_number(number: u32) -> Option<Self> {
        [Self::Add, Self::Update, Self::Delete]
            .into_iter()
            .find(|operation| *operation as u32 == number)
    }
}
