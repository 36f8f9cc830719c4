//! Rules as text: the expressions are walked with registers that hold text instead of bytes.

use std::fmt::{self, Display, Formatter, Write};

use super::register::{Registers, Symbol};
use super::value::{Format, write_comment, write_duration};
use crate::expression::{
    Conntrack, ConntrackKey, Counter, DestinationNat, DynamicSet, DynamicSetOperation, Fib,
    FibAddress, Immediate, Lookup, LookupResult, Masquerade, Meta, MetaKey, Payload, PayloadBase,
    Reject,
};
use crate::{DataType, Expression, Family, Rule};

/// What a rule does, without the chain it is in; made by [`Rule::display_statements`].
#[derive(Clone, Copy, Debug)]
pub struct DisplayStatements<'a> {
    rule: &'a Rule,
}

impl Rule {
    /// The text of the rule as `nft list` shows it in its chain.
    pub const fn display_statements(&self) -> DisplayStatements<'_> {
        DisplayStatements { rule: self }
    }
}

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.table,
            self.chain,
            self.display_statements()
        )
    }
}

impl Display for DisplayStatements<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut reader = Reader::new(self.rule.table.family);
        let mut separator = "";
        for expression in &self.rule.expressions {
            if let Some(statement) = reader.read(expression) {
                write!(f, "{separator}{statement}")?;
                separator = " ";
            }
        }
        write_comment(f, self.rule.comment.as_deref())
    }
}

/// Reads expressions in order.
struct Reader {
    family: Family,
    registers: Registers,
}

impl Reader {
    fn new(family: Family) -> Self {
        Self {
            family,
            registers: Registers::default(),
        }
    }

    /// Takes one expression; gives a statement where one is complete.
    fn read(&mut self, expression: &Expression) -> Option<String> {
        match expression {
            Expression::Payload(payload) => {
                self.registers
                    .store(payload.destination, self.payload(payload));
                None
            }
            Expression::Meta(meta) => self.meta(*meta),
            Expression::Compare(compare) => Some(self.registers.comparison(compare)),
            Expression::Bitwise(bitwise) => {
                self.registers.apply(bitwise);
                None
            }
            Expression::Immediate(Immediate::Verdict(verdict)) => Some(verdict.to_string()),
            Expression::Immediate(Immediate::Value { destination, value }) => {
                self.registers
                    .store(*destination, Symbol::Constant(value.clone()));
                None
            }
            Expression::Lookup(lookup) => self.lookup(lookup),
            Expression::Conntrack(Conntrack {
                key: ConntrackKey::State,
                destination,
            }) => {
                let state = Symbol::loaded("ct state", Format::ConnectionState, 4);
                self.registers.store(*destination, state);
                None
            }
            Expression::DestinationNat(nat) => Some(self.destination_nat(*nat)),
            Expression::Masquerade(Masquerade {
                fully_random: false,
            }) => Some("masquerade".into()),
            Expression::Masquerade(Masquerade { fully_random: true }) => {
                Some("masquerade fully-random".into())
            }
            Expression::Fib(Fib {
                address,
                destination,
            }) => {
                let text = match address {
                    FibAddress::Source => "fib saddr type",
                    FibAddress::Destination => "fib daddr type",
                };
                self.registers
                    .store(*destination, Symbol::loaded(text, Format::RouteType, 4));
                None
            }
            Expression::RandomNumber(number) => {
                let text = format!("numgen random mod {}", number.modulus);
                let format = Format::Data(DataType::Integer);
                self.registers
                    .store(number.destination, Symbol::loaded(text, format, 4));
                None
            }
            Expression::DynamicSet(change) => Some(self.dynamic_set(change)),
            Expression::Reject(reject) => Some(self.reject(*reject)),
            Expression::Counter(Counter {
                packets: 0,
                bytes: 0,
            }) => Some("counter".into()),
            Expression::Counter(Counter { packets, bytes }) => {
                Some(format!("counter packets {packets} bytes {bytes}"))
            }
            // `nft` refuses this, as it should: kpx cannot say what the expression does.
            Expression::Other { name, .. } => Some(format!("[ {name} ]")),
        }
    }

    /// What a part of the packet is called.
    fn payload(&self, payload: &Payload) -> Symbol {
        let Payload {
            base,
            offset,
            length,
            ..
        } = *payload;
        let bytes = length as usize;
        let address = DataType::address(self.family);
        let known = match (self.family, base, offset) {
            (Family::Ipv4, PayloadBase::Network, 12) => Some(("ip saddr", address)),
            (Family::Ipv4, PayloadBase::Network, 16) => Some(("ip daddr", address)),
            (Family::Ipv6, PayloadBase::Network, 8) => Some(("ip6 saddr", address)),
            (Family::Ipv6, PayloadBase::Network, 24) => Some(("ip6 daddr", address)),
            (_, PayloadBase::Transport, 0) => Some(("th sport", DataType::InetService)),
            (_, PayloadBase::Transport, 2) => Some(("th dport", DataType::InetService)),
            _ => None,
        };
        // The start of an address stands for its prefix; other fields are loaded whole.
        match known {
            Some((text, data_type))
                if bytes == data_type.length()
                    || data_type == address && bytes < address.length() =>
            {
                Symbol::loaded(text, Format::Data(data_type), bytes)
            }
            _ => {
                let header = match base {
                    PayloadBase::Network => "nh",
                    PayloadBase::Transport => "th",
                };
                let bits = |bytes: u32| u64::from(bytes) * 8;
                let text = format!("@{header},{},{}", bits(offset), bits(length));
                Symbol::loaded(text, Format::Number, bytes)
            }
        }
    }

    fn meta(&mut self, meta: Meta) -> Option<String> {
        match meta {
            Meta::Load { key, destination } => {
                let (text, format, length) = meta_key(key);
                self.registers
                    .store(destination, Symbol::loaded(text, format, length));
                None
            }
            Meta::Set { key, source } => {
                let (text, format, _) = meta_key(key);
                Some(format!(
                    "{text} set {}",
                    self.registers.value(source, Some(format))
                ))
            }
        }
    }

    fn lookup(&mut self, lookup: &Lookup) -> Option<String> {
        let Lookup {
            set,
            source,
            result,
        } = lookup;
        let key = self.registers.concatenation(*source);
        match result {
            LookupResult::Member => Some(format!("{key} @{set}")),
            LookupResult::NotMember => Some(format!("{key} != @{set}")),
            LookupResult::Verdict => Some(format!("{key} vmap @{set}")),
            LookupResult::Value(destination) => {
                self.registers
                    .store_mapped(*destination, format!("{key} map @{set}"));
                None
            }
        }
    }

    /// The address and the port; a map that gives the address gives the port behind it as well.
    fn destination_nat(&mut self, nat: DestinationNat) -> String {
        let DestinationNat {
            family,
            address,
            port,
        } = nat;
        let is_constant = matches!(self.registers.get(address), Some(Symbol::Constant(_)));
        let is_mapped = matches!(self.registers.get(address), Some(Symbol::Mapped(_)));
        let has_port = self.registers.get(port).is_some();
        let address_format = Format::Data(DataType::address(family));
        let address = self.registers.value(address, Some(address_format));
        if is_mapped && !has_port {
            return format!("dnat to {address}");
        }
        let port = self
            .registers
            .value(port, Some(Format::Data(DataType::InetService)));
        match family {
            Family::Ipv6 if is_constant => format!("dnat to [{address}]:{port}"),
            Family::Ipv4 if is_constant => format!("dnat to {address}:{port}"),
            Family::Ipv4 | Family::Ipv6 => format!("dnat to {address} : {port}"),
        }
    }

    fn dynamic_set(&mut self, change: &DynamicSet) -> String {
        let verb = match change.operation {
            DynamicSetOperation::Add => "add",
            DynamicSetOperation::Update => "update",
            DynamicSetOperation::Delete => "delete",
        };
        let key = self.registers.concatenation(change.key);
        let mut text = format!("{verb} @{} {{ {key}", change.set);
        if let Some(timeout) = change.timeout {
            text.push_str(" timeout ");
            // Writing to a string cannot fail.
            let _ = write_duration(&mut text, timeout);
        }
        if let Some(data) = change.data {
            // Writing to a string cannot fail.
            let _ = write!(text, " : {}", self.registers.concatenation(data));
        }
        text.push_str(" }");
        text
    }

    /// "Port unreachable" is what `nft` means by `reject` alone.
    fn reject(&self, reject: Reject) -> String {
        match (self.family, reject.code) {
            (Family::Ipv4, 3) | (Family::Ipv6, 4) => "reject".into(),
            (Family::Ipv4, code) => format!("reject with icmp {code}"),
            (Family::Ipv6, code) => format!("reject with icmpv6 {code}"),
        }
    }
}

/// What a property of a packet is called, how its value reads and how long it is.
const fn meta_key(key: MetaKey) -> (&'static str, Format, usize) {
    match key {
        MetaKey::Priority => ("meta priority", Format::Data(DataType::ClassId), 4),
        MetaKey::Mark => ("meta mark", Format::Mark, 4),
        MetaKey::InputInterfaceName => ("iifname", Format::InterfaceName, 16),
        MetaKey::TransportProtocol => ("meta l4proto", Format::Data(DataType::InetProto), 1),
    }
}
