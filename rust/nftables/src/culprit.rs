//! Finds the object, and the part of it, that made the kernel reject a batch.

use std::net::{Ipv4Addr, Ipv6Addr};

use kpx_netlink::{Attributes, Covering, Error as NetlinkError};

use crate::batch::{Batch, Located};
use crate::chain::NFTA_CHAIN_TYPE;
use crate::element::{Entry, NFTA_SET_ELEM_LIST_ELEMENTS};
use crate::error::operation_hint;
use crate::message::ATTRIBUTES_START;
use crate::rule::NFTA_RULE_EXPRESSIONS;
use crate::{Bytes, CommitError, DataType, Expression, Family, Verb, message};

impl Batch {
    /// The error of a commit for an error that the kernel gave to one message.
    pub(crate) fn rejection(&self, error: NetlinkError) -> CommitError {
        let Some(located) = self.locate(error.sequence) else {
            return match self.generation() {
                Some(generation) if error.is_stale() => CommitError::Stale { generation },
                _ => CommitError::Refused(error),
            };
        };
        let part = located.part(&error);
        CommitError::Rejected {
            operation: located.operation,
            element: match &part {
                Part::Element { index, .. } => Some(*index),
                Part::Expression(_) | Part::ChainType | Part::Whole => None,
            },
            verb: located.origin.verb,
            object: located.describe(&part),
            hint: operation_hint(&error, located.feature(&part)),
            source: error,
        }
    }
}

/// The part of an object at fault.
enum Part {
    /// An element, by its index in the operation.
    Element { index: usize, key: Bytes },
    /// An expression of a rule.
    Expression(Expression),
    /// The type of a base chain.
    ChainType,
    /// Any other part, or no one knows which.
    Whole,
}

impl<'a> Located<'a> {
    fn part(&self, error: &NetlinkError) -> Part {
        self.element(error)
            .or_else(|| self.expression(error))
            .or_else(|| self.chain_type(error))
            .unwrap_or(Part::Whole)
    }

    fn element(&self, error: &NetlinkError) -> Option<Part> {
        let list = self.covering(error, NFTA_SET_ELEM_LIST_ELEMENTS)?;
        let (index, key) = list
            .attributes
            .take(list.entry.index + 1)
            .filter_map(|entry| match Entry::parse(&entry.nested())? {
                Entry::Element(element) => Some(element.key),
                Entry::IntervalEnd(_) => None,
            })
            .enumerate()
            .last()?;
        Some(Part::Element {
            index: self.first_element + index,
            key,
        })
    }

    fn expression(&self, error: &NetlinkError) -> Option<Part> {
        let list = self.covering(error, NFTA_RULE_EXPRESSIONS)?;
        let expression = Expression::parse(&list.entry.attribute.nested())?;
        Some(Part::Expression(expression))
    }

    fn chain_type(&self, error: &NetlinkError) -> Option<Part> {
        let (_, outer) = self.outer(error)?;
        let is_type = self.origin.keyword == "chain" && outer.attribute.kind == NFTA_CHAIN_TYPE;
        is_type.then_some(Part::ChainType)
    }

    /// The position of the error, and the attribute of the message that covers it.
    fn outer(&self, error: &NetlinkError) -> Option<(usize, Covering<'a>)> {
        let position = usize::try_from(error.offset?).ok()?;
        let attributes = message::attributes(&self.message);
        Some((position, attributes.covering(ATTRIBUTES_START, position)?))
    }

    /// The list of a kind, and the entry of it that covers the position of the error.
    fn covering(&self, error: &NetlinkError, kind: u16) -> Option<List<'a>> {
        let (position, outer) = self.outer(error)?;
        if outer.attribute.kind != kind || position < outer.payload_start {
            return None;
        }
        let attributes = outer.attribute.nested();
        let entry = attributes.covering(outer.payload_start, position)?;
        Some(List { attributes, entry })
    }

    fn describe(&self, part: &Part) -> String {
        let origin = self.origin;
        let place = format!("{} {}", origin.table.family.keyword(), origin.table.name);
        let name = &origin.name;
        match (part, &origin.set, origin.keyword) {
            (Part::Element { key, .. }, Some(set), _) => {
                format!("element {} of {place} {name}", key_text(key, &set.key))
            }
            (_, Some(_), _) => format!("elements of {place} {name}"),
            (Part::Expression(expression), ..) => {
                let expression = expression.name();
                format!("rule in chain {place} {name}, for its expression `{expression}`")
            }
            (_, None, "rule") => format!("rule in chain {place} {name}"),
            (_, None, "table") => format!("table {place}"),
            (_, None, keyword) => format!("{keyword} {place} {name}"),
        }
    }

    /// What the part needs of the kernel.
    fn feature(&self, part: &Part) -> Option<&'static str> {
        let family = self.origin.table.family;
        match (part, self.origin.keyword) {
            (Part::Expression(expression), _) => expression_feature(expression, family),
            (_, "table") if self.origin.verb == Verb::Add => Some(match family {
                Family::Ipv4 => "the kernel lacks CONFIG_NF_TABLES_IPV4",
                Family::Ipv6 => "the kernel lacks CONFIG_NF_TABLES_IPV6",
            }),
            // Chains of the type `nat` come with the expression.
            (Part::ChainType, _) => {
                Some("the kernel lacks CONFIG_NFT_NAT, or the module `nft_chain_nat`")
            }
            _ => None,
        }
    }
}

/// A list in a message and its entry at fault.
struct List<'a> {
    attributes: Attributes<'a>,
    entry: Covering<'a>,
}

fn expression_feature(expression: &Expression, family: Family) -> Option<&'static str> {
    Some(match (expression, family) {
        (Expression::RandomNumber(_), _) => {
            "the kernel lacks CONFIG_NFT_NUMGEN, or the module `nft_numgen`"
        }
        (Expression::DestinationNat(_), _) => {
            "the kernel lacks CONFIG_NFT_NAT, or the module `nft_nat`"
        }
        (Expression::Masquerade(_), _) => {
            "the kernel lacks CONFIG_NFT_MASQ, or the module `nft_masq`"
        }
        (Expression::Conntrack(_), _) => "the kernel lacks CONFIG_NFT_CT, or the module `nft_ct`",
        (Expression::Fib(_), Family::Ipv4) => {
            "the kernel lacks CONFIG_NFT_FIB_IPV4, or the module `nft_fib_ipv4`"
        }
        (Expression::Fib(_), Family::Ipv6) => {
            "the kernel lacks CONFIG_NFT_FIB_IPV6, or the module `nft_fib_ipv6`"
        }
        (Expression::Reject(_), Family::Ipv4) => {
            "the kernel lacks CONFIG_NFT_REJECT_IPV4, or the module `nft_reject_ipv4`"
        }
        (Expression::Reject(_), Family::Ipv6) => {
            "the kernel lacks CONFIG_NFT_REJECT_IPV6, or the module `nft_reject_ipv6`"
        }
        _ => return None,
    })
}

/// A key as `nft` writes it.
fn key_text(key: &[u8], fields: &[DataType]) -> String {
    let mut texts = Vec::with_capacity(fields.len());
    let mut rest = key;
    for field in fields {
        let value = rest.get(..field.length()).unwrap_or_default();
        texts.push(field_text(value, *field));
        rest = rest.get(field.padded_length()..).unwrap_or_default();
    }
    texts.join(" . ")
}

fn field_text(value: &[u8], field: DataType) -> String {
    let text = match field {
        DataType::Integer | DataType::ClassId => {
            array(value).map(|value| u32::from_ne_bytes(value).to_string())
        }
        DataType::Ipv4Address => array::<4>(value).map(|value| Ipv4Addr::from(value).to_string()),
        DataType::Ipv6Address => array::<16>(value).map(|value| Ipv6Addr::from(value).to_string()),
        DataType::InetService => array(value).map(|value| u16::from_be_bytes(value).to_string()),
        DataType::InetProto => value.first().map(|protocol| match *protocol {
            6 => "tcp".to_owned(),
            17 => "udp".to_owned(),
            132 => "sctp".to_owned(),
            other => other.to_string(),
        }),
    };
    text.unwrap_or_else(|| format!("{value:02x?}"))
}

fn array<const LENGTH: usize>(value: &[u8]) -> Option<[u8; LENGTH]> {
    value.try_into().ok()
}

#[cfg(test)]
mod tests;
