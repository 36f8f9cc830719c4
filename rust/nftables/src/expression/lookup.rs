//! `lookup`: find a register's value in a set or map.

use kpx_netlink::{Attributes, Writer};

use super::Register;
use super::register::NFT_REG_VERDICT;
use crate::Name;

/// What a lookup does with what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LookupResult {
    /// Go on if the key is in the set.
    Member,
    /// Go on if the key is not in the set (`NFT_LOOKUP_F_INV`).
    NotMember,
    /// Load the value from the map; end the rule if there is none.
    Value(Register),
    /// Give the verdict from the map; end the rule if there is none.
    Verdict,
}

/// Looks a key up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lookup {
    /// The set or map.
    pub set: Name,
    /// Where the key starts.
    pub source: Register,
    /// What comes of it.
    pub result: LookupResult,
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_lookup_attributes`.
const NFTA_LOOKUP_SET: u16 = 1;
const NFTA_LOOKUP_SREG: u16 = 2;
const NFTA_LOOKUP_DREG: u16 = 3;
const NFTA_LOOKUP_FLAGS: u16 = 5;

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_lookup_flags`.
const NFT_LOOKUP_F_INV: u32 = 1;

impl Lookup {
    pub(super) const NAME: &'static str = "lookup";

    pub(super) fn emit(&self, writer: &mut Writer) {
        // The name finds a set of the same batch too: no `NFTA_LOOKUP_SET_ID` is needed.
        writer.put_string(NFTA_LOOKUP_SET, &self.set);
        self.source.emit(writer, NFTA_LOOKUP_SREG);
        match self.result {
            LookupResult::Member => {}
            LookupResult::NotMember => writer.put_be32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV),
            LookupResult::Value(destination) => destination.emit(writer, NFTA_LOOKUP_DREG),
            LookupResult::Verdict => writer.put_be32(NFTA_LOOKUP_DREG, NFT_REG_VERDICT),
        }
    }

    pub(super) fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        let flags = match attributes.get(NFTA_LOOKUP_FLAGS) {
            Some(flags) => flags.as_be32()?,
            None => 0,
        };
        let destination = match attributes.get(NFTA_LOOKUP_DREG) {
            Some(destination) => Some(destination.as_be32()?),
            None => None,
        };
        let result = match (destination, flags) {
            (None, 0) => LookupResult::Member,
            (None, NFT_LOOKUP_F_INV) => LookupResult::NotMember,
            (Some(NFT_REG_VERDICT), 0) => LookupResult::Verdict,
            (Some(number), 0) => LookupResult::Value(Register::from_number(number)?),
            _ => return None,
        };
        Some(Self {
            set: Name::from(attributes.get(NFTA_LOOKUP_SET)?.as_str()?),
            source: Register::parse(attributes, NFTA_LOOKUP_SREG)?,
            result,
        })
    }
}
