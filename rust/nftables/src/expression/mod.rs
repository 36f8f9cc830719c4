//! The kernel's expressions, one a file.

mod bitwise;
mod cmp;
mod conntrack;
mod counter;
mod dynset;
mod fib;
mod immediate;
mod lookup;
mod masquerade;
mod meta;
mod nat;
mod numgen;
mod payload;
mod register;
mod reject;
mod verdict;

pub use bitwise::Bitwise;
pub use cmp::{Compare, CompareOperator};
pub use conntrack::{Conntrack, ConntrackKey};
pub use counter::Counter;
pub use dynset::{DynamicSet, DynamicSetOperation};
pub use fib::{Fib, FibAddress, ROUTE_TYPE_LOCAL};
pub use immediate::Immediate;
pub use lookup::{Lookup, LookupResult};
pub use masquerade::Masquerade;
pub use meta::{Meta, MetaKey};
pub use nat::DestinationNat;
pub use numgen::RandomNumber;
pub use payload::{Payload, PayloadBase};
pub use register::Register;
pub use reject::Reject;
pub use verdict::Verdict;

use kpx_netlink::{Attribute, Attributes, Writer};

use crate::{Bytes, Name};

/// One step of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expression {
    /// Load bytes of the packet.
    Payload(Payload),
    /// Load or set a property of the packet.
    Meta(Meta),
    /// Compare a register.
    Compare(Compare),
    /// Mask and flip bits.
    Bitwise(Bitwise),
    /// Load a constant or give a verdict.
    Immediate(Immediate),
    /// Look a key up.
    Lookup(Lookup),
    /// Load a property of the connection.
    Conntrack(Conntrack),
    /// Translate the destination.
    DestinationNat(DestinationNat),
    /// Translate the source.
    Masquerade(Masquerade),
    /// Ask the routing table.
    Fib(Fib),
    /// Generate a random number.
    RandomNumber(RandomNumber),
    /// Change a set.
    DynamicSet(DynamicSet),
    /// Refuse the packet.
    Reject(Reject),
    /// Count.
    Counter(Counter),
    /// An expression, or a form of one, that kpx never makes: kept as it came from the kernel.
    Other {
        /// The kernel's name of the expression.
        name: Name,
        /// Its attributes.
        attributes: Bytes,
    },
}

/// `uapi/linux/netfilter/nf_tables.h`, `enum nft_expr_attributes`.
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;

impl Expression {
    /// The kernel's name of the expression.
    pub fn name(&self) -> &str {
        match self {
            Self::Payload(_) => Payload::NAME,
            Self::Meta(_) => Meta::NAME,
            Self::Compare(_) => Compare::NAME,
            Self::Bitwise(_) => Bitwise::NAME,
            Self::Immediate(_) => Immediate::NAME,
            Self::Lookup(_) => Lookup::NAME,
            Self::Conntrack(_) => Conntrack::NAME,
            Self::DestinationNat(_) => DestinationNat::NAME,
            Self::Masquerade(_) => Masquerade::NAME,
            Self::Fib(_) => Fib::NAME,
            Self::RandomNumber(_) => RandomNumber::NAME,
            Self::DynamicSet(_) => DynamicSet::NAME,
            Self::Reject(_) => Reject::NAME,
            Self::Counter(_) => Counter::NAME,
            Self::Other { name, .. } => name,
        }
    }

    /// Appends the name and the data.
    pub(crate) fn emit(&self, writer: &mut Writer) {
        writer.put_string(NFTA_EXPR_NAME, self.name());
        let nest = writer.open(NFTA_EXPR_DATA);
        match self {
            Self::Payload(expression) => expression.emit(writer),
            Self::Meta(expression) => expression.emit(writer),
            Self::Compare(expression) => expression.emit(writer),
            Self::Bitwise(expression) => expression.emit(writer),
            Self::Immediate(expression) => expression.emit(writer),
            Self::Lookup(expression) => expression.emit(writer),
            Self::Conntrack(expression) => expression.emit(writer),
            Self::DestinationNat(expression) => expression.emit(writer),
            Self::Masquerade(expression) => expression.emit(writer),
            Self::Fib(expression) => expression.emit(writer),
            Self::RandomNumber(expression) => expression.emit(writer),
            Self::DynamicSet(expression) => expression.emit(writer),
            Self::Reject(expression) => expression.emit(writer),
            Self::Counter(expression) => expression.emit(writer),
            Self::Other { attributes, .. } => writer.put_raw(attributes),
        }
        writer.close(nest);
    }

    /// Reads the name and the data; `None` only if there is no name.
    pub(crate) fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        let name = attributes.get(NFTA_EXPR_NAME)?.as_str()?;
        let data = attributes
            .get(NFTA_EXPR_DATA)
            .map_or(Attributes::new(&[]), Attribute::nested);
        let known = match name {
            Payload::NAME => Payload::parse(&data).map(Self::Payload),
            Meta::NAME => Meta::parse(&data).map(Self::Meta),
            Compare::NAME => Compare::parse(&data).map(Self::Compare),
            Bitwise::NAME => Bitwise::parse(&data).map(Self::Bitwise),
            Immediate::NAME => Immediate::parse(&data).map(Self::Immediate),
            Lookup::NAME => Lookup::parse(&data).map(Self::Lookup),
            Conntrack::NAME => Conntrack::parse(&data).map(Self::Conntrack),
            DestinationNat::NAME => DestinationNat::parse(&data).map(Self::DestinationNat),
            Masquerade::NAME => Masquerade::parse(&data).map(Self::Masquerade),
            Fib::NAME => Fib::parse(&data).map(Self::Fib),
            RandomNumber::NAME => RandomNumber::parse(&data).map(Self::RandomNumber),
            DynamicSet::NAME => DynamicSet::parse(&data).map(Self::DynamicSet),
            Reject::NAME => Reject::parse(&data).map(Self::Reject),
            Counter::NAME => Counter::parse(&data).map(Self::Counter),
            _ => None,
        };
        Some(known.unwrap_or_else(|| Self::Other {
            name: Name::from(name),
            attributes: Bytes::from_slice(data.as_bytes()),
        }))
    }
}

#[cfg(test)]
mod tests;
