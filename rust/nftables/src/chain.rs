//! Chains.

use kpx_netlink::{Attributes, Writer};

use crate::{Name, Table};

/// Where in the kernel's packet path a base chain is called (`uapi/linux/netfilter.h`,
/// `enum nf_inet_hooks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Hook {
    /// Before routing: `NF_INET_PRE_ROUTING`.
    Prerouting = 0,
    /// Packets for this host: `NF_INET_LOCAL_IN`.
    Input = 1,
    /// Packets routed through this host: `NF_INET_FORWARD`.
    Forward = 2,
    /// Packets this host sends: `NF_INET_LOCAL_OUT`.
    Output = 3,
    /// After routing: `NF_INET_POST_ROUTING`.
    Postrouting = 4,
}

/// What kind of decisions a base chain takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChainKind {
    /// Accept or drop.
    Filter,
    /// Translate addresses; sees only the first packet of a connection.
    Nat,
}

/// The part of a chain that attaches it to a hook. The policy is always `accept`: kpx never
/// blocks by default what it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BaseChain {
    /// What the chain decides.
    pub kind: ChainKind,
    /// Where it is called.
    pub hook: Hook,
    /// The order among the chains of the hook, lower first.
    pub priority: i32,
}

/// A chain of rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chain {
    /// The table that owns the chain.
    pub table: Table,
    /// The name, unique in the table.
    pub name: Name,
    /// The hook for a base chain; `None` for a chain reached by verdicts only.
    pub base: Option<BaseChain>,
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_chain_attributes`.
pub(crate) const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
pub(crate) const NFTA_CHAIN_TYPE: u16 = 7;

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_hook_attributes`.
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;

/// `uapi/linux/netfilter.h`.
const NF_ACCEPT: u32 = 1;

impl Chain {
    pub(crate) fn emit(&self, writer: &mut Writer) {
        self.emit_reference(writer);
        if let Some(base) = self.base {
            let nest = writer.open(NFTA_CHAIN_HOOK);
            writer.put_be32(NFTA_HOOK_HOOKNUM, base.hook as u32);
            writer.put_be32(NFTA_HOOK_PRIORITY, base.priority.cast_unsigned());
            writer.close(nest);
            writer.put_be32(NFTA_CHAIN_POLICY, NF_ACCEPT);
            writer.put_string(NFTA_CHAIN_TYPE, base.kind.keyword());
        }
    }

    /// Appends only what finds the chain.
    pub(crate) fn emit_reference(&self, writer: &mut Writer) {
        self.table.emit(writer);
        writer.put_string(NFTA_CHAIN_NAME, &self.name);
    }

    /// Reads a chain. A base chain of a form that kpx never makes (another type, hook or policy)
    /// reads as one without hook, so that it equals no base chain of kpx.
    pub(crate) fn parse(table: Table, attributes: &Attributes<'_>) -> Option<Self> {
        Some(Self {
            table,
            name: Name::from(attributes.get(NFTA_CHAIN_NAME)?.as_str()?),
            base: BaseChain::parse(attributes),
        })
    }
}

impl BaseChain {
    fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        if attributes.get(NFTA_CHAIN_POLICY)?.as_be32()? != NF_ACCEPT {
            return None;
        }
        let hook = attributes.get(NFTA_CHAIN_HOOK)?.nested();
        Some(Self {
            kind: ChainKind::from_keyword(attributes.get(NFTA_CHAIN_TYPE)?.as_str()?)?,
            hook: Hook::from_number(hook.get(NFTA_HOOK_HOOKNUM)?.as_be32()?)?,
            priority: hook.get(NFTA_HOOK_PRIORITY)?.as_be32()?.cast_signed(),
        })
    }
}

impl ChainKind {
    /// The name that the kernel and `nft` give the kind.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
        }
    }

    fn from_keyword(keyword: &str) -> Option<Self> {
        [Self::Filter, Self::Nat]
            .into_iter()
            .find(|kind| kind.keyword() == keyword)
    }
}

impl Hook {
    fn from_number(number: u32) -> Option<Self> {
        [
            Self::Prerouting,
            Self::Input,
            Self::Forward,
            Self::Output,
            Self::Postrouting,
        ]
        .into_iter()
        .find(|hook| *hook as u32 == number)
    }
}
