//! Sets and maps as text.

use std::fmt::{self, Display, Formatter};

use super::value::write_duration;
use crate::{DataType, Set, SetKind};

impl Set {
    /// Writes the lines that declare the set, each ended by `;` and led by `indent`.
    pub(super) fn write_declaration(
        &self,
        f: &mut Formatter<'_>,
        start: &str,
        end: &str,
    ) -> fmt::Result {
        f.write_str(start)?;
        self.write_types(f)?;
        f.write_str(end)?;
        if let Some(size) = self.size {
            write!(f, "{start}size {size}{end}")?;
        }
        self.write_flags(f, start, end)?;
        if let Some(timeout) = self.timeout {
            write!(f, "{start}timeout ")?;
            write_duration(f, timeout)?;
            f.write_str(end)?;
        }
        Ok(())
    }

    /// Writes what keys and values are made of. An integer has no type of its own in `nft`: only
    /// an expression tells how wide it is.
    fn write_types(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (keyword, name): (_, fn(DataType) -> &'static str) =
            if self.key.contains(&DataType::Integer) {
                ("typeof", typical_expression)
            } else {
                ("type", type_name)
            };
        let concatenation = |f: &mut Formatter<'_>, fields: &[DataType]| {
            fields.iter().enumerate().try_for_each(|(index, field)| {
                f.write_str(if index > 0 { " . " } else { "" })?;
                f.write_str(name(*field))
            })
        };
        write!(f, "{keyword} ")?;
        concatenation(f, &self.key)?;
        match &self.kind {
            SetKind::Set => Ok(()),
            SetKind::VerdictMap => f.write_str(" : verdict"),
            SetKind::Map(fields) => {
                f.write_str(" : ")?;
                concatenation(f, fields)
            }
        }
    }

    fn write_flags(&self, f: &mut Formatter<'_>, start: &str, end: &str) -> fmt::Result {
        let flags = [
            ("interval", self.flags.interval),
            ("dynamic", self.flags.dynamic),
            ("timeout", self.flags.timeout),
        ];
        let mut set = flags
            .iter()
            .filter(|(_, is_set)| *is_set)
            .map(|(name, _)| name);
        let Some(first) = set.next() else {
            return Ok(());
        };
        write!(f, "{start}flags {first}")?;
        set.try_for_each(|name| write!(f, ",{name}"))?;
        f.write_str(end)
    }
}

impl Display for Set {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {{", self.table, self.name)?;
        self.write_declaration(f, " ", ";")?;
        f.write_str(" }")
    }
}

/// `nft`'s name of a type.
const fn type_name(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Integer => "integer",
        DataType::Ipv4Address => "ipv4_addr",
        DataType::Ipv6Address => "ipv6_addr",
        DataType::InetProto => "inet_proto",
        DataType::InetService => "inet_service",
        DataType::ClassId => "classid",
    }
}

/// An expression whose value has the type.
const fn typical_expression(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Integer => "numgen random mod 2",
        DataType::Ipv4Address => "ip daddr",
        DataType::Ipv6Address => "ip6 daddr",
        DataType::InetProto => "meta l4proto",
        DataType::InetService => "th dport",
        DataType::ClassId => "meta priority",
    }
}
