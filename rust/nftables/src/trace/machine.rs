//! The register machine that runs one base chain and the chains it leads to.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::memory::Memory;
use super::{Packet, TraceError};
use crate::expression::{
    CompareOperator, DestinationNat, DynamicSet, FibAddress, Immediate, Lookup, LookupResult, Meta,
    MetaKey, ROUTE_TYPE_LOCAL, Register,
};
use crate::{Bytes, Data, Expression, Family, Name, Rule, SetContents, TableContents, Verdict};

/// The bytes of all registers.
const REGISTER_BYTES: usize = 64;

/// How many chains a packet may meet: far more than a ruleset without circles makes it.
const CHAIN_LIMIT: usize = 1000;

/// The address of another host: `RTN_UNICAST` (`uapi/linux/rtnetlink.h`).
const ROUTE_TYPE_UNICAST: u32 = 1;

/// A packet on its way, and what it needs to know of the host.
pub(super) struct Transit<'a> {
    /// The packet as it is now.
    pub(super) packet: Packet,
    /// Whether its source was translated.
    pub(super) masqueraded: bool,
    /// The rules that applied.
    pub(super) path: Vec<String>,
    /// The addresses of the host, beside those of the loopback.
    pub(super) local_addresses: &'a BTreeSet<IpAddr>,
    /// What packets changed in the sets.
    pub(super) memory: &'a mut Memory,
    /// Gives a number below its argument.
    pub(super) random: &'a mut dyn FnMut(u32) -> u32,
}

impl Transit<'_> {
    /// Whether an address is one of this host's.
    pub(super) fn is_local(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.local_addresses.contains(&address)
    }
}

/// How a base chain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// The packet goes on.
    Accept,
    /// The packet goes on, with another address.
    Translate,
    /// The packet is discarded.
    Drop,
    /// The packet is discarded with an error to the sender.
    Reject,
}

/// What comes after an expression.
enum Next {
    /// The next expression.
    Expression,
    /// The next rule: the expression did not match.
    Break,
    /// A verdict, with what gave it if that is not said by the rule.
    Verdict(Verdict, Option<String>),
    /// The end.
    Ruling(Ruling, Option<String>),
}

/// Runs chains of one table.
pub(super) struct Machine<'a, 't> {
    contents: &'a TableContents,
    registers: [u8; REGISTER_BYTES],
    transit: &'a mut Transit<'t>,
}

impl<'a, 't> Machine<'a, 't> {
    /// A machine with empty registers.
    pub(super) const fn new(contents: &'a TableContents, transit: &'a mut Transit<'t>) -> Self {
        Self {
            contents,
            registers: [0; REGISTER_BYTES],
            transit,
        }
    }

    /// Runs a base chain to its end.
    pub(super) fn run(&mut self, base: &Name) -> Result<Ruling, TraceError> {
        let mut callers = Vec::new();
        let mut rules = self.rules(base)?.iter();
        for _ in 0..CHAIN_LIMIT {
            let verdict = loop {
                let Some(rule) = rules.next() else {
                    break Verdict::Return;
                };
                match self.evaluate(rule)? {
                    Next::Ruling(ruling, detail) => {
                        self.note(rule, detail);
                        return Ok(ruling);
                    }
                    Next::Verdict(Verdict::Continue, detail) => self.note(rule, detail),
                    Next::Verdict(verdict, detail) => {
                        self.note(rule, detail);
                        break verdict;
                    }
                    Next::Expression => self.note(rule, None),
                    Next::Break => {}
                }
            };
            rules = match verdict {
                Verdict::Accept => return Ok(Ruling::Accept),
                Verdict::Drop => return Ok(Ruling::Drop),
                Verdict::Jump(chain) => {
                    callers.push(rules);
                    self.rules(&chain)?.iter()
                }
                Verdict::Goto(chain) => self.rules(&chain)?.iter(),
                Verdict::Return | Verdict::Continue => match callers.pop() {
                    Some(caller) => caller,
                    // The policy of every base chain is to accept.
                    None => return Ok(Ruling::Accept),
                },
            };
        }
        Err(TraceError::Endless { limit: CHAIN_LIMIT })
    }

    fn rules(&self, chain: &Name) -> Result<&'a [Rule], TraceError> {
        let contents = self.contents.chains.get(chain);
        let contents = contents.ok_or_else(|| TraceError::MissingChain {
            name: chain.clone(),
        })?;
        Ok(&contents.rules)
    }

    fn note(&mut self, rule: &Rule, detail: Option<String>) {
        let mut step = format!("{}: {}", rule.chain, rule.display_statements());
        if let Some(detail) = detail {
            step.push_str(" => ");
            step.push_str(&detail);
        }
        self.transit.path.push(step);
    }

    /// Runs the expressions of a rule until one breaks off or decides.
    fn evaluate(&mut self, rule: &Rule) -> Result<Next, TraceError> {
        for expression in &rule.expressions {
            match self.execute(rule, expression)? {
                Next::Expression => {}
                next => return Ok(next),
            }
        }
        Ok(Next::Expression)
    }

    fn execute(&mut self, rule: &Rule, expression: &Expression) -> Result<Next, TraceError> {
        let registers = || TraceError::Registers {
            chain: rule.chain.clone(),
        };
        let goes_on = |is_match| {
            if is_match {
                Next::Expression
            } else {
                Next::Break
            }
        };
        match expression {
            Expression::Payload(payload) => {
                let Some(bytes) = self.transit.packet.load(payload) else {
                    return Ok(Next::Break);
                };
                self.store(payload.destination, &bytes)
                    .ok_or_else(registers)?;
            }
            Expression::Meta(meta) => self.meta(*meta).ok_or_else(registers)?,
            Expression::Compare(compare) => {
                let value = self
                    .load(compare.source, compare.value.len())
                    .ok_or_else(registers)?;
                let is_equal = value == compare.value;
                return Ok(goes_on(
                    is_equal == (compare.operator == CompareOperator::Equal),
                ));
            }
            Expression::Bitwise(bitwise) => {
                let value = self
                    .load(bitwise.source, bitwise.mask.len())
                    .ok_or_else(registers)?;
                let bits = bitwise.mask.iter().zip(&bitwise.xor);
                let value: Bytes = value
                    .iter()
                    .zip(bits)
                    .map(|(byte, (mask, xor))| byte & mask ^ xor)
                    .collect();
                self.store(bitwise.destination, &value)
                    .ok_or_else(registers)?;
            }
            Expression::Immediate(Immediate::Value { destination, value }) => {
                self.store(*destination, value).ok_or_else(registers)?;
            }
            Expression::Immediate(Immediate::Verdict(verdict)) => {
                return Ok(Next::Verdict(verdict.clone(), None));
            }
            Expression::Lookup(lookup) => return self.look_up(rule, lookup),
            Expression::Conntrack(conntrack) => {
                let state = self.transit.packet.state.bit();
                self.store(conntrack.destination, &state.to_ne_bytes())
                    .ok_or_else(registers)?;
            }
            Expression::DestinationNat(nat) => {
                let destination = self.translated(*nat).ok_or_else(registers)?;
                self.transit.packet.destination = destination;
                return Ok(Next::Ruling(
                    Ruling::Translate,
                    Some(destination.to_string()),
                ));
            }
            Expression::Masquerade(_) => {
                self.transit.masqueraded = true;
                return Ok(Next::Ruling(Ruling::Translate, None));
            }
            Expression::Fib(fib) => {
                let address = match fib.address {
                    FibAddress::Source => self.transit.packet.source,
                    FibAddress::Destination => self.transit.packet.destination,
                };
                let route_type = if self.transit.is_local(address.ip()) {
                    ROUTE_TYPE_LOCAL
                } else {
                    ROUTE_TYPE_UNICAST
                };
                self.store(fib.destination, &route_type.to_ne_bytes())
                    .ok_or_else(registers)?;
            }
            Expression::RandomNumber(number) => {
                let value = (self.transit.random)(number.modulus);
                self.store(number.destination, &value.to_ne_bytes())
                    .ok_or_else(registers)?;
            }
            Expression::DynamicSet(change) => self.change(rule, change)?,
            Expression::Reject(_) => return Ok(Next::Ruling(Ruling::Reject, None)),
            Expression::Counter(_) => {}
            Expression::Other { name, .. } => {
                let (chain, name) = (rule.chain.clone(), name.clone());
                return Err(TraceError::UnknownExpression { chain, name });
            }
        }
        Ok(Next::Expression)
    }

    fn meta(&mut self, meta: Meta) -> Option<()> {
        let packet = &mut self.transit.packet;
        match meta {
            Meta::Load {
                key: MetaKey::Mark,
                destination,
            } => {
                let mark = packet.mark;
                self.store(destination, &mark.to_ne_bytes())
            }
            Meta::Load {
                key: MetaKey::Priority,
                destination,
            } => {
                let priority = packet.priority;
                self.store(destination, &priority.to_ne_bytes())
            }
            Meta::Load {
                key: MetaKey::TransportProtocol,
                destination,
            } => {
                let protocol = packet.protocol;
                self.store(destination, &[protocol])
            }
            Meta::Load {
                key: MetaKey::InputInterfaceName,
                destination,
            } => {
                let name = packet.input_interface.clone().unwrap_or_default();
                let mut bytes = [0; 16];
                bytes
                    .get_mut(..name.len())?
                    .copy_from_slice(name.as_bytes());
                self.store(destination, &bytes)
            }
            Meta::Set {
                key: MetaKey::Mark,
                source,
            } => {
                let mark = self.load(source, 4)?;
                self.transit.packet.mark = u32::from_ne_bytes(mark.as_slice().try_into().ok()?);
                Some(())
            }
            Meta::Set {
                key: MetaKey::Priority,
                source,
            } => {
                let priority = self.load(source, 4)?;
                self.transit.packet.priority =
                    u32::from_ne_bytes(priority.as_slice().try_into().ok()?);
                Some(())
            }
            Meta::Set { .. } => None,
        }
    }

    fn look_up(&mut self, rule: &Rule, lookup: &Lookup) -> Result<Next, TraceError> {
        let registers = || TraceError::Registers {
            chain: rule.chain.clone(),
        };
        let contents = self.set(&lookup.set)?;
        let key = self
            .load(lookup.source, contents.set.key_length())
            .ok_or_else(registers)?;
        let found = self.transit.memory.find(contents, &key).cloned();
        Ok(match (lookup.result, found) {
            (LookupResult::Member, Some(_)) | (LookupResult::NotMember, None) => Next::Expression,
            (LookupResult::Value(destination), Some(Data::Value(value))) => {
                self.store(destination, &value).ok_or_else(registers)?;
                Next::Expression
            }
            (LookupResult::Verdict, Some(Data::Verdict(verdict))) => {
                let detail = verdict.to_string();
                Next::Verdict(verdict, Some(detail))
            }
            _ => Next::Break,
        })
    }

    fn change(&mut self, rule: &Rule, change: &DynamicSet) -> Result<(), TraceError> {
        let registers = || TraceError::Registers {
            chain: rule.chain.clone(),
        };
        let contents = self.set(&change.set)?;
        let key = self
            .load(change.key, contents.set.key_length())
            .ok_or_else(registers)?;
        let data = match change.data {
            Some(data) => {
                let value = self
                    .load(data, contents.set.data_length())
                    .ok_or_else(registers)?;
                Data::Value(value)
            }
            None => Data::None,
        };
        self.transit
            .memory
            .change(contents, change.operation, key, data);
        Ok(())
    }

    fn set(&self, name: &Name) -> Result<&'a SetContents, TraceError> {
        let contents = self.contents.sets.get(name);
        contents.ok_or_else(|| TraceError::MissingSet { name: name.clone() })
    }

    /// The destination that the registers hold.
    fn translated(&self, nat: DestinationNat) -> Option<SocketAddr> {
        let address = self.load(nat.address, nat.family.address_length())?;
        let address = match nat.family {
            Family::Ipv4 => IpAddr::from(<[u8; 4]>::try_from(address.as_slice()).ok()?),
            Family::Ipv6 => IpAddr::from(<[u8; 16]>::try_from(address.as_slice()).ok()?),
        };
        let port = <[u8; 2]>::try_from(self.load(nat.port, 2)?.as_slice()).ok()?;
        Some(SocketAddr::new(address, u16::from_be_bytes(port)))
    }

    /// Reads bytes from a register on.
    fn load(&self, register: Register, length: usize) -> Option<Bytes> {
        let start = usize::from(register.0) * 4;
        self.registers
            .get(start..start.checked_add(length)?)
            .map(Bytes::from_slice)
    }

    /// Writes bytes from a register on; the rest of the last word becomes zero.
    fn store(&mut self, register: Register, bytes: &[u8]) -> Option<()> {
        let start = usize::from(register.0) * 4;
        let end = start.checked_add(bytes.len().next_multiple_of(4))?;
        let words = self.registers.get_mut(start..end)?;
        words.fill(0);
        words.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(())
    }
}
