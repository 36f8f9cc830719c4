//! A rule of every form that kpx makes.

use std::time::Duration;

use kpx_nftables::expression::{
    Bitwise, Compare, CompareOperator, Conntrack, ConntrackKey, Counter, DestinationNat,
    DynamicSet, DynamicSetOperation, Fib, FibAddress, Immediate, Lookup, LookupResult, Masquerade,
    Meta, MetaKey, Payload, PayloadBase, ROUTE_TYPE_LOCAL, RandomNumber, Register, Reject,
};
use kpx_nftables::{Bytes, Expression, Family, Name, Rule, Verdict};

use crate::samples::table;

/// The mark of packets to masquerade.
const MARK: u32 = 0x4000;

/// All rules, in the order in which they are added.
pub(crate) fn rules(family: Family) -> Vec<Rule> {
    let forms = [
        ("services", Some("to the services"), dispatch(family)),
        ("lb-2", None, balance(family)),
        ("nat-prerouting", None, local_destination()),
        ("nat-prerouting", None, other_interface()),
        ("mark-for-masquerade", None, mark()),
        ("mark-for-masquerade", None, only_mark()),
        ("nat-postrouting", None, masquerade_marked()),
        ("nat-postrouting", None, masquerade_foreign(family)),
        ("filter-forward", Some("no endpoints"), reject_new(family)),
        ("filter-input", None, drop_others(family)),
        ("filter-input", None, learn(family)),
        ("filter-input", None, vec![give(Verdict::Continue)]),
        ("filter-input", None, vec![give(Verdict::Return)]),
        ("filter-input", None, vec![give(Verdict::Accept)]),
    ];
    forms
        .into_iter()
        .map(|(chain, comment, expressions)| Rule {
            table: table(family),
            chain: chain.into(),
            expressions,
            comment: comment.map(Name::from),
        })
        .collect()
}

fn dispatch(family: Family) -> Vec<Expression> {
    let (mut expressions, _) = load_service(family, 0);
    expressions.push(lookup("service-ips", LookupResult::Verdict));
    expressions
}

fn balance(family: Family) -> Vec<Expression> {
    let (mut expressions, next) = load_service(family, 0);
    expressions.extend([
        Expression::RandomNumber(RandomNumber {
            modulus: 2,
            destination: Register(next),
        }),
        lookup("endpoints", LookupResult::Value(Register(0))),
        Expression::DestinationNat(DestinationNat {
            family,
            address: Register(0),
            port: Register(address_words(family)),
        }),
    ]);
    expressions
}

fn local_destination() -> Vec<Expression> {
    vec![
        Expression::Fib(Fib {
            address: FibAddress::Destination,
            destination: Register(0),
        }),
        compare(CompareOperator::Equal, &ROUTE_TYPE_LOCAL.to_ne_bytes()),
        give(Verdict::Jump("services".into())),
    ]
}

fn other_interface() -> Vec<Expression> {
    vec![
        load_meta(MetaKey::InputInterfaceName, 0),
        compare(CompareOperator::NotEqual, b"br0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        Expression::Counter(Counter::default()),
        give(Verdict::Goto("mark-for-masquerade".into())),
    ]
}

fn mark() -> Vec<Expression> {
    vec![load_meta(MetaKey::Mark, 0), mask(!MARK, MARK), set_mark()]
}

fn only_mark() -> Vec<Expression> {
    vec![
        Expression::Immediate(Immediate::Value {
            destination: Register(0),
            value: Bytes::from_slice(&MARK.to_ne_bytes()),
        }),
        set_mark(),
    ]
}

fn masquerade_marked() -> Vec<Expression> {
    vec![
        load_meta(MetaKey::Mark, 0),
        mask(MARK, 0),
        compare(CompareOperator::NotEqual, &0_u32.to_ne_bytes()),
        load_meta(MetaKey::Mark, 0),
        mask(u32::MAX, MARK),
        set_mark(),
        Expression::Masquerade(Masquerade { fully_random: true }),
    ]
}

fn masquerade_foreign(family: Family) -> Vec<Expression> {
    vec![
        source_address(family, 0),
        lookup("cidrs", LookupResult::NotMember),
        Expression::Masquerade(Masquerade {
            fully_random: false,
        }),
    ]
}

fn reject_new(family: Family) -> Vec<Expression> {
    vec![
        Expression::Conntrack(Conntrack {
            key: ConntrackKey::State,
            destination: Register(0),
        }),
        mask(8, 0),
        compare(CompareOperator::NotEqual, &0_u32.to_ne_bytes()),
        destination_address(family, 0),
        lookup("nodeport-ips", LookupResult::Member),
        Expression::Reject(Reject {
            code: match family {
                Family::Ipv4 => 3,
                Family::Ipv6 => 4,
            },
        }),
    ]
}

fn drop_others(family: Family) -> Vec<Expression> {
    let (mut expressions, next) = load_service(family, 0);
    expressions.extend([
        source_address(family, next),
        lookup("source-ranges", LookupResult::NotMember),
        give(Verdict::Drop),
    ]);
    expressions
}

fn learn(family: Family) -> Vec<Expression> {
    let (load, next) = load_service(family, address_words(family));
    let mut expressions = vec![source_address(family, 0)];
    expressions.extend(load);
    expressions.extend([
        destination_address(family, next),
        destination_port(next + address_words(family)),
        Expression::DynamicSet(DynamicSet {
            operation: DynamicSetOperation::Update,
            set: "affinity".into(),
            key: Register(0),
            data: Some(Register(next)),
            timeout: Some(Duration::from_secs(30)),
        }),
    ]);
    expressions
}

/// The registers that an address takes.
fn address_words(family: Family) -> u8 {
    u8::try_from(family.address_length() / 4).unwrap()
}

fn load_meta(key: MetaKey, to: u8) -> Expression {
    Expression::Meta(Meta::Load {
        key,
        destination: Register(to),
    })
}

/// Loads the service that the packet is for; gives the first register behind it too.
fn load_service(family: Family, from: u8) -> (Vec<Expression>, u8) {
    let protocol = from + address_words(family);
    let load = vec![
        destination_address(family, from),
        load_meta(MetaKey::TransportProtocol, protocol),
        destination_port(protocol + 1),
    ];
    (load, protocol + 2)
}

const fn load_address(family: Family, offset_v4: u32, offset_v6: u32, to: u8) -> Expression {
    let (offset, length) = match family {
        Family::Ipv4 => (offset_v4, 4),
        Family::Ipv6 => (offset_v6, 16),
    };
    Expression::Payload(Payload {
        base: PayloadBase::Network,
        offset,
        length,
        destination: Register(to),
    })
}

const fn destination_address(family: Family, to: u8) -> Expression {
    load_address(family, 16, 24, to)
}

const fn source_address(family: Family, to: u8) -> Expression {
    load_address(family, 12, 8, to)
}

const fn destination_port(to: u8) -> Expression {
    Expression::Payload(Payload {
        base: PayloadBase::Transport,
        offset: 2,
        length: 2,
        destination: Register(to),
    })
}

fn compare(operator: CompareOperator, value: &[u8]) -> Expression {
    Expression::Compare(Compare {
        operator,
        source: Register(0),
        value: Bytes::from_slice(value),
    })
}

fn mask(mask: u32, xor: u32) -> Expression {
    Expression::Bitwise(Bitwise {
        source: Register(0),
        destination: Register(0),
        mask: Bytes::from_slice(&mask.to_ne_bytes()),
        xor: Bytes::from_slice(&xor.to_ne_bytes()),
    })
}

fn lookup(set: &str, result: LookupResult) -> Expression {
    Expression::Lookup(Lookup {
        set: set.into(),
        source: Register(0),
        result,
    })
}

fn give(verdict: Verdict) -> Expression {
    Expression::Immediate(Immediate::Verdict(verdict))
}

fn set_mark() -> Expression {
    Expression::Meta(Meta::Set {
        key: MetaKey::Mark,
        source: Register(0),
    })
}
