//! Rules.

use kpx_netlink::{Attributes, Writer};

use crate::message::NFTA_LIST_ELEM;
use crate::{Expression, Name, Table, comment};

/// One rule: expressions evaluated in order until one breaks off or gives a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The table that owns the chain.
    pub table: Table,
    /// The chain the rule is appended to.
    pub chain: Name,
    /// What the rule does, in order.
    pub expressions: Vec<Expression>,
    /// A comment that `nft list` shows behind the rule.
    pub comment: Option<Name>,
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_rule_attributes`.
const NFTA_RULE_CHAIN: u16 = 2;
pub(crate) const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_RULE_USERDATA: u16 = 7;

impl Rule {
    pub(crate) fn emit(&self, writer: &mut Writer) {
        Self::emit_chain(&self.table, &self.chain, writer);
        let nest = writer.open(NFTA_RULE_EXPRESSIONS);
        for expression in &self.expressions {
            let entry = writer.open(NFTA_LIST_ELEM);
            expression.emit(writer);
            writer.close(entry);
        }
        writer.close(nest);
        if let Some(comment) = &self.comment {
            comment::emit(writer, NFTA_RULE_USERDATA, comment);
        }
    }

    /// Appends what finds all rules of a chain.
    pub(crate) fn emit_chain(table: &Table, chain: &str, writer: &mut Writer) {
        table.emit(writer);
        writer.put_string(NFTA_RULE_CHAIN, chain);
    }

    pub(crate) fn parse(table: Table, attributes: &Attributes<'_>) -> Option<Self> {
        Some(Self {
            table,
            chain: Name::from(attributes.get(NFTA_RULE_CHAIN)?.as_str()?),
            expressions: attributes
                .get(NFTA_RULE_EXPRESSIONS)
                .into_iter()
                .flat_map(kpx_netlink::Attribute::nested)
                .map(|entry| Expression::parse(&entry.nested()))
                .collect::<Option<_>>()?,
            comment: attributes.get(NFTA_RULE_USERDATA).and_then(comment::parse),
        })
    }
}
