//! Tables.

use kpx_netlink::{Attributes, Message, Writer};
use smol_str::SmolStr;

use crate::{Family, message};

/// A kernel object's name. The kernel bounds it to 255 bytes (`NFT_NAME_MAXLEN`); up to 23 bytes
/// are kept inline.
pub type Name = SmolStr;

/// A table, which owns chains and sets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table {
    /// The family whose packets the table sees.
    pub family: Family,
    /// The name, unique in the family.
    pub name: Name,
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_table_attributes`. Chains, rules, sets and
/// elements name their table by an attribute of the same kind.
pub(crate) const NFTA_TABLE_NAME: u16 = 1;

impl Table {
    pub(crate) fn emit(&self, writer: &mut Writer) {
        writer.put_string(NFTA_TABLE_NAME, &self.name);
    }

    /// Reads the table that a message is about; `None` for a family that kpx does not know.
    pub(crate) fn parse(message: &Message<'_>, attributes: &Attributes<'_>) -> Option<Self> {
        Some(Self {
            family: Family::from_number(message::family(message)?)?,
            name: Name::from(attributes.get(NFTA_TABLE_NAME)?.as_str()?),
        })
    }
}
