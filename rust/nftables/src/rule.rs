//! Rules.

use kpx_netlink::{Attributes, Writer};

use crate::expression::Immediate;
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

/// A rule of anybody that leads to other chains: where it is, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jumps {
    /// The table that owns the chain.
    pub table: Table,
    /// The chain the rule is in.
    pub chain: Name,
    /// The number the kernel gave the rule, unique in its table.
    pub handle: u64,
    /// The chains it leads to.
    pub chains: Vec<Name>,
}

impl Jumps {
    /// The chains it leads to, with their table, which is its own.
    pub fn targets(&self) -> impl Iterator<Item = (Table, Name)> {
        let targets = self.chains.iter();
        targets.map(|chain| (self.table.clone(), chain.clone()))
    }

    /// Appends what finds the rule.
    pub(crate) fn emit_reference(&self, writer: &mut Writer) {
        Rule::emit_chain(&self.table, &self.chain, writer);
        writer.put_be64(NFTA_RULE_HANDLE, self.handle);
    }

    /// Reads a rule; `None` for one that leads nowhere else.
    pub(crate) fn parse(table: Table, attributes: &Attributes<'_>) -> Option<Self> {
        let handle = attributes.get(NFTA_RULE_HANDLE)?.as_be64()?;
        let Rule {
            table,
            chain,
            expressions,
            ..
        } = Rule::parse(table, attributes)?;
        let targets = expressions
            .iter()
            .filter_map(|expression| match expression {
                Expression::Immediate(Immediate::Verdict(verdict)) => verdict.chain().cloned(),
                _ => None,
            });
        let chains: Vec<Name> = targets.collect();
        (!chains.is_empty()).then_some(Self {
            table,
            chain,
            handle,
            chains,
        })
    }
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_rule_attributes`.
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_HANDLE: u16 = 3;
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
