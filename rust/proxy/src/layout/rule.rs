//! Builds rules from the few statements kpx makes.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use kpx_nftables::expression::{
    Bitwise, Compare, CompareOperator, Conntrack, ConntrackKey, DestinationNat, DynamicSet,
    DynamicSetOperation, Expression, Fib, FibAddress, Immediate, Lookup, LookupResult, Masquerade,
    Meta, MetaKey, Payload, PayloadBase, ROUTE_TYPE_LOCAL, RandomNumber, Register, Reject, Verdict,
};
use kpx_nftables::{Bytes, Family, Name, Rule, Table};

use crate::config::LocalDetector;

/// A field of a packet, or what stands in a key beside them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    SourceAddress,
    DestinationAddress,
    Protocol,
    DestinationPort,
    /// A random number below this one.
    Random(u32),
    /// The packet's priority, where a slot is put between two statements.
    Priority,
}

/// The fields of a frontend's key: an address, or a node port.
pub(super) const SERVICE_KEY: [Field; 3] = [
    Field::DestinationAddress,
    Field::Protocol,
    Field::DestinationPort,
];
/// The fields of a node port's key.
pub(super) const NODEPORT_KEY: [Field; 2] = [Field::Protocol, Field::DestinationPort];

/// The first word of the registers: every statement starts there, since none hands a value on to
/// the next.
const START: Register = Register(0);

/// Behind the longest key: of two IPv6 addresses, a protocol and a port.
const ASIDE: Register = Register(12);

/// `NF_CT_STATE_BIT(IP_CT_NEW)` (`uapi/linux/netfilter/nf_conntrack_common.h`).
const CONNTRACK_NEW: u32 = 8;

/// `IPPROTO_ICMP` (`uapi/linux/in.h`), and the type of its redirects (`uapi/linux/icmp.h`).
const ICMP: u8 = 1;
const ICMP_REDIRECT: u8 = 5;
/// `IPPROTO_ICMPV6` (`uapi/linux/in6.h`), and the type of its redirects (`net/ndisc.h`).
const ICMPV6: u8 = 58;
const ND_REDIRECT: u8 = 137;

/// Collects the expressions of one rule.
#[derive(Clone, Debug)]
pub(super) struct RuleBuilder {
    family: Family,
    expressions: Vec<Expression>,
    comment: Option<Name>,
}

impl RuleBuilder {
    pub(super) fn new(family: Family) -> Self {
        Self {
            family,
            expressions: Vec::new(),
            comment: None,
        }
    }

    pub(super) fn build(self, table: &Table, chain: &Name) -> Rule {
        Rule {
            table: table.clone(),
            chain: chain.clone(),
            expressions: self.expressions,
            comment: self.comment,
        }
    }

    pub(super) fn comment(mut self, comment: &'static str) -> Self {
        self.comment = Some(Name::new_static(comment));
        self
    }

    /// `field . field ... vmap @set`
    pub(super) fn verdict_from(self, fields: &[Field], set: &'static str) -> Self {
        self.lookup(fields, set, LookupResult::Verdict)
    }

    /// `field . field ... @set`
    pub(super) fn member_of(self, fields: &[Field], set: &'static str) -> Self {
        self.lookup(fields, set, LookupResult::Member)
    }

    /// `field . field ... != @set`
    pub(super) fn not_member_of(self, fields: &[Field], set: &'static str) -> Self {
        self.lookup(fields, set, LookupResult::NotMember)
    }

    fn lookup(mut self, fields: &[Field], set: &'static str, result: LookupResult) -> Self {
        self.load(fields);
        self.push(Expression::Lookup(Lookup {
            set: Name::new_static(set),
            source: START,
            result,
        }))
    }

    /// `dnat to field . field ... map @set`
    pub(super) fn translate_to(self, fields: &[Field], set: &'static str) -> Self {
        let words = u8::try_from(self.family.address_length() / 4).unwrap_or_default();
        let family = self.family;
        self.lookup(fields, set, LookupResult::Value(START))
            .push(Expression::DestinationNat(DestinationNat {
                family,
                address: START,
                port: Register(words),
            }))
    }

    /// `meta priority set field . field ... map @set`
    pub(super) fn set_priority_from(self, fields: &[Field], set: &'static str) -> Self {
        self.lookup(fields, set, LookupResult::Value(START))
            .push(Expression::Meta(Meta::Set {
                key: MetaKey::Priority,
                source: START,
            }))
    }

    /// `update @set { field . field ... timeout T : meta priority }`: remembers the slot for the
    /// client, or that it has been used again. Goes on only if there is room.
    pub(super) fn remember(self, fields: &[Field], set: &'static str, timeout: Duration) -> Self {
        self.change_set(DynamicSetOperation::Update, fields, set, Some(timeout))
    }

    /// `delete @set { field . field ... : meta priority }`
    pub(super) fn forget(self, fields: &[Field], set: &'static str) -> Self {
        self.change_set(DynamicSetOperation::Delete, fields, set, None)
    }

    fn change_set(
        mut self,
        operation: DynamicSetOperation,
        fields: &[Field],
        set: &'static str,
        timeout: Option<Duration>,
    ) -> Self {
        self.load(fields);
        self.expressions.push(Expression::Meta(Meta::Load {
            key: MetaKey::Priority,
            destination: ASIDE,
        }));
        self.push(Expression::DynamicSet(DynamicSet {
            operation,
            set: Name::new_static(set),
            key: START,
            data: Some(ASIDE),
            timeout,
        }))
    }

    /// `ip saddr range`, or `!=` it
    pub(super) fn source_within(self, range: IpNet, operator: CompareOperator) -> Self {
        self.address_within(Field::SourceAddress, range, operator)
    }

    /// `ip daddr range`, or `!=` it
    pub(super) fn destination_within(self, range: IpNet, operator: CompareOperator) -> Self {
        self.address_within(Field::DestinationAddress, range, operator)
    }

    fn address_within(mut self, field: Field, range: IpNet, operator: CompareOperator) -> Self {
        self.load(&[field]);
        if range.prefix_len() < range.max_prefix_len() {
            let mask = address_bytes(range.netmask());
            let xor = Bytes::from_elem(0, mask.len());
            let mask = Bitwise {
                source: START,
                destination: START,
                mask,
                xor,
            };
            self.expressions.push(Expression::Bitwise(mask));
        }
        self.compare(operator, address_bytes(range.network()))
    }

    /// `iifname "name"`, or `iifname "prefix*"`, or `!=` them
    fn interface(mut self, name: &str, prefix: bool, operator: CompareOperator) -> Self {
        self.expressions.push(Expression::Meta(Meta::Load {
            key: MetaKey::InputInterfaceName,
            destination: START,
        }));
        let mut value = Bytes::from_slice(name.as_bytes());
        if !prefix {
            // The whole of `char name[IFNAMSIZ]` is compared.
            value.resize(16, 0);
        }
        self.compare(operator, value)
    }

    /// Matches packets from pods of this node, or packets that are not. Of a node that cannot
    /// tell there is no such rule: `None`.
    pub(super) fn sent_by_pod(self, detector: &LocalDetector, is: bool) -> Option<Self> {
        let operator = if is {
            CompareOperator::Equal
        } else {
            CompareOperator::NotEqual
        };
        match detector {
            LocalDetector::None => None,
            LocalDetector::Source(range) => Some(self.source_within(*range, operator)),
            LocalDetector::Interface(name) => Some(self.interface(name, false, operator)),
            LocalDetector::InterfacePrefix(name) => Some(self.interface(name, true, operator)),
        }
    }

    /// `fib saddr type local` or `fib daddr type local`
    pub(super) fn of_this_host(mut self, address: FibAddress) -> Self {
        self.expressions.push(Expression::Fib(Fib {
            address,
            destination: START,
        }));
        self.compare(CompareOperator::Equal, number(ROUTE_TYPE_LOCAL))
    }

    /// `ct state new`
    pub(super) fn new_connection(mut self) -> Self {
        self.expressions.push(Expression::Conntrack(Conntrack {
            key: ConntrackKey::State,
            destination: START,
        }));
        self.bits(CONNTRACK_NEW, 0)
            .compare(CompareOperator::NotEqual, number(0))
    }

    /// `meta mark & mark != 0`
    pub(super) fn marked(mut self, mark: u32) -> Self {
        self.load_mark();
        self.bits(mark, 0)
            .compare(CompareOperator::NotEqual, number(0))
    }

    /// `meta mark set meta mark | mark`
    pub(super) fn set_mark(mut self, mark: u32) -> Self {
        self.load_mark();
        self.bits(!mark, mark).store_mark()
    }

    /// `meta mark set meta mark ^ mark`
    pub(super) fn flip_mark(mut self, mark: u32) -> Self {
        self.load_mark();
        self.bits(u32::MAX, mark).store_mark()
    }

    /// `masquerade fully-random`
    pub(super) fn masquerade(self) -> Self {
        self.push(Expression::Masquerade(Masquerade { fully_random: true }))
    }

    /// `reject`: ICMP code 3, or ICMPv6 code 4, "port unreachable"
    pub(super) fn reject(self) -> Self {
        let code = match self.family {
            Family::Ipv4 => 3,
            Family::Ipv6 => 4,
        };
        self.push(Expression::Reject(Reject { code }))
    }

    /// `icmp type redirect`, or `icmpv6 type nd-redirect`
    pub(super) fn redirect(mut self) -> Self {
        let (protocol, kind) = match self.family {
            Family::Ipv4 => (ICMP, ICMP_REDIRECT),
            Family::Ipv6 => (ICMPV6, ND_REDIRECT),
        };
        self.load(&[Field::Protocol]);
        let mut rule = self.compare(CompareOperator::Equal, Bytes::from_slice(&[protocol]));
        rule.expressions.push(Expression::Payload(Payload {
            base: PayloadBase::Transport,
            offset: 0,
            length: 1,
            destination: START,
        }));
        rule.compare(CompareOperator::Equal, Bytes::from_slice(&[kind]))
    }

    pub(super) fn drop(self) -> Self {
        self.verdict(Verdict::Drop)
    }

    pub(super) fn jump(self, chain: &'static str) -> Self {
        self.verdict(Verdict::Jump(Name::new_static(chain)))
    }

    fn verdict(self, verdict: Verdict) -> Self {
        self.push(Expression::Immediate(Immediate::Verdict(verdict)))
    }

    fn push(mut self, expression: Expression) -> Self {
        self.expressions.push(expression);
        self
    }

    fn load_mark(&mut self) {
        self.expressions.push(Expression::Meta(Meta::Load {
            key: MetaKey::Mark,
            destination: START,
        }));
    }

    fn store_mark(self) -> Self {
        self.push(Expression::Meta(Meta::Set {
            key: MetaKey::Mark,
            source: START,
        }))
    }

    /// `register = (register & mask) ^ xor`
    fn bits(self, mask: u32, xor: u32) -> Self {
        self.push(Expression::Bitwise(Bitwise {
            source: START,
            destination: START,
            mask: number(mask),
            xor: number(xor),
        }))
    }

    fn compare(self, operator: CompareOperator, value: Bytes) -> Self {
        self.push(Expression::Compare(Compare {
            operator,
            source: START,
            value,
        }))
    }

    /// Loads fields one behind the other, each at the start of a 32-bit word.
    fn load(&mut self, fields: &[Field]) {
        let mut word = 0;
        for field in fields {
            let destination = Register(word);
            let expression = match field {
                Field::SourceAddress | Field::DestinationAddress => self.address(*field, word),
                Field::Protocol => Expression::Meta(Meta::Load {
                    key: MetaKey::TransportProtocol,
                    destination,
                }),
                Field::DestinationPort => Expression::Payload(Payload {
                    base: PayloadBase::Transport,
                    offset: 2,
                    length: 2,
                    destination,
                }),
                Field::Random(modulus) => Expression::RandomNumber(RandomNumber {
                    modulus: *modulus,
                    destination,
                }),
                Field::Priority => Expression::Meta(Meta::Load {
                    key: MetaKey::Priority,
                    destination,
                }),
            };
            self.expressions.push(expression);
            word += match (field, self.family) {
                (Field::SourceAddress | Field::DestinationAddress, Family::Ipv6) => 4,
                _ => 1,
            };
        }
    }

    /// Loads an address of the IPv4 header (RFC 791) or the IPv6 header (RFC 8200).
    fn address(&self, field: Field, word: u8) -> Expression {
        let source = matches!(field, Field::SourceAddress);
        let (offset, length) = match (self.family, source) {
            (Family::Ipv4, true) => (12, 4),
            (Family::Ipv4, false) => (16, 4),
            (Family::Ipv6, true) => (8, 16),
            (Family::Ipv6, false) => (24, 16),
        };
        Expression::Payload(Payload {
            base: PayloadBase::Network,
            offset,
            length,
            destination: Register(word),
        })
    }
}

/// A number in host byte order, as the kernel holds it in a register.
fn number(value: u32) -> Bytes {
    Bytes::from_slice(&value.to_ne_bytes())
}

fn address_bytes(address: IpAddr) -> Bytes {
    match address {
        IpAddr::V4(address) => Bytes::from_slice(&address.octets()),
        IpAddr::V6(address) => Bytes::from_slice(&address.octets()),
    }
}
