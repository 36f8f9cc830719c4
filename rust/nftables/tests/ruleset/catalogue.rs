//! The sets, chains and rules that kpx makes, built from the same expressions.

use std::sync::Arc;
use std::time::Duration;

use kpx_nftables::expression::{
    Bitwise, Compare, CompareOperator, Conntrack, ConntrackKey, Counter, DestinationNat,
    DynamicSet, DynamicSetOperation, Fib, FibAddress, Immediate, Lookup, LookupResult, Masquerade,
    Meta, MetaKey, Payload, PayloadBase, RandomNumber, Register, Reject,
};
use kpx_nftables::{
    BaseChain, Chain, ChainKind, DataType, Element, Elements, Expression, Family, Hook, Name,
    Object, Rule, Set, SetFlags, SetKind, Table, Transaction, Verb, Verdict,
};

/// The mark that asks for masquerading.
pub(crate) const MARK: u32 = 0x4000;

/// The table of a family.
pub(crate) fn table(family: Family) -> Table {
    Table {
        family,
        name: Name::new_static("kpx"),
    }
}

/// A transaction of these steps.
pub(crate) fn transaction(steps: impl IntoIterator<Item = (Verb, Object)>) -> Transaction {
    let mut transaction = Transaction::new();
    for (verb, object) in steps {
        transaction
            .push(verb, object)
            .expect("the operation is well formed");
    }
    transaction
}

/// A chain that verdicts lead to.
pub(crate) fn chain(family: Family, name: &str) -> Chain {
    Chain {
        table: table(family),
        name: name.into(),
        base: None,
    }
}

/// A chain that a hook calls.
pub(crate) fn base_chain(
    family: Family,
    name: &str,
    kind: ChainKind,
    hook: Hook,
    priority: i32,
) -> Chain {
    let base = Some(BaseChain {
        kind,
        hook,
        priority,
    });
    Chain {
        base,
        ..chain(family, name)
    }
}

/// A set without special properties.
pub(crate) fn set(family: Family, name: &str, key: &[DataType], kind: SetKind) -> Set {
    Set {
        table: table(family),
        name: name.into(),
        key: key.to_vec(),
        kind,
        flags: SetFlags::default(),
        timeout: None,
        size: None,
    }
}

/// A rule.
pub(crate) fn rule(
    family: Family,
    chain: &str,
    parts: impl IntoIterator<Item = Vec<Expression>>,
) -> Rule {
    Rule {
        table: table(family),
        chain: chain.into(),
        expressions: parts.into_iter().flatten().collect(),
        comment: None,
    }
}

/// An operation on elements of a set.
pub(crate) fn elements(set: &Set, elements: impl IntoIterator<Item = Element>) -> Object {
    Object::Elements(Elements {
        set: Arc::new(set.clone()),
        elements: elements.into_iter().collect(),
    })
}

/// The sets and maps of kpx's layout.
pub(crate) fn sets(family: Family) -> Vec<Set> {
    let address = DataType::address(family);
    let (protocol, port, slot) = (
        DataType::InetProto,
        DataType::InetService,
        DataType::Integer,
    );
    let endpoint = || SetKind::Map(vec![address, port]);
    let make = |name, key: &[DataType], kind| set(family, name, key, kind);
    vec![
        make(
            "service-ips",
            &[address, protocol, port],
            SetKind::VerdictMap,
        ),
        make("service-nodeports", &[protocol, port], SetKind::VerdictMap),
        make("nodeport-ips", &[address], SetKind::Set),
        make("cluster-ips", &[address], SetKind::Set),
        make("firewall-ips", &[address, protocol, port], SetKind::Set),
        make(
            "hairpin-connections",
            &[address, address, protocol, port],
            SetKind::Set,
        ),
        Set {
            flags: SetFlags {
                interval: true,
                ..SetFlags::default()
            },
            ..make(
                "source-ranges",
                &[address, protocol, port, address],
                SetKind::Set,
            )
        },
        make("endpoints", &[address, protocol, port, slot], endpoint()),
        make("nodeport-endpoints", &[protocol, port, slot], endpoint()),
        Set {
            flags: SetFlags {
                timeout: true,
                dynamic: true,
                interval: false,
            },
            timeout: Some(Duration::from_secs(10_800)),
            size: Some(65_536),
            ..make("affinity", &[address, address, protocol, port], endpoint())
        },
    ]
}

/// Loads a field of the network header.
fn network(offset: u32, length: u32, word: u8) -> Expression {
    let base = PayloadBase::Network;
    Expression::Payload(Payload {
        base,
        offset,
        length,
        destination: Register(word),
    })
}

/// Loads the source address.
pub(crate) fn source_address(family: Family, word: u8) -> Expression {
    match family {
        Family::Ipv4 => network(12, 4, word),
        Family::Ipv6 => network(8, 16, word),
    }
}

/// Loads the first bytes of the source address.
pub(crate) fn source_prefix(family: Family, length: u32) -> Expression {
    match family {
        Family::Ipv4 => network(12, length, 0),
        Family::Ipv6 => network(8, length, 0),
    }
}

/// Loads the destination address.
pub(crate) fn destination_address(family: Family, word: u8) -> Expression {
    match family {
        Family::Ipv4 => network(16, 4, word),
        Family::Ipv6 => network(24, 16, word),
    }
}

/// Loads the first bytes of the destination address.
pub(crate) fn destination_prefix(family: Family, length: u32) -> Expression {
    match family {
        Family::Ipv4 => network(16, length, 0),
        Family::Ipv6 => network(24, length, 0),
    }
}

/// Loads the transport protocol, and the destination port behind it.
pub(crate) fn protocol_and_port(word: u8) -> Vec<Expression> {
    let port = Payload {
        base: PayloadBase::Transport,
        offset: 2,
        length: 2,
        destination: Register(word + 1),
    };
    vec![
        load_meta(MetaKey::TransportProtocol, word),
        Expression::Payload(port),
    ]
}

/// Loads the key of `service-ips`: the service's address, protocol and port.
pub(crate) fn service(family: Family, word: u8) -> Vec<Expression> {
    let next = word + address_words(family);
    [
        vec![destination_address(family, word)],
        protocol_and_port(next),
    ]
    .concat()
}

/// Loads the key of `affinity`: the client's address, and the service.
pub(crate) fn client_and_service(family: Family) -> Vec<Expression> {
    let next = address_words(family);
    [vec![source_address(family, 0)], service(family, next)].concat()
}

/// The words that an address takes in the registers.
pub(crate) const fn address_words(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 1,
        Family::Ipv6 => 4,
    }
}

/// Loads a random slot.
pub(crate) fn random(modulus: u32, word: u8) -> Expression {
    Expression::RandomNumber(RandomNumber {
        modulus,
        destination: Register(word),
    })
}

/// Loads a property of the packet.
pub(crate) fn load_meta(key: MetaKey, word: u8) -> Expression {
    Expression::Meta(Meta::Load {
        key,
        destination: Register(word),
    })
}

/// Masks and flips the first register.
pub(crate) fn bitwise(mask: &[u8], xor: &[u8]) -> Expression {
    let (mask, xor) = (mask.into(), xor.into());
    Expression::Bitwise(Bitwise {
        source: Register(0),
        destination: Register(0),
        mask,
        xor,
    })
}

/// Goes on if the first register has the value.
pub(crate) fn equal(value: &[u8]) -> Expression {
    compare(CompareOperator::Equal, value)
}

/// Goes on if the first register does not have the value.
pub(crate) fn not_equal(value: &[u8]) -> Expression {
    compare(CompareOperator::NotEqual, value)
}

fn compare(operator: CompareOperator, value: &[u8]) -> Expression {
    Expression::Compare(Compare {
        operator,
        source: Register(0),
        value: value.into(),
    })
}

/// Looks up the key that starts in the first register.
pub(crate) fn lookup(set: &str, result: LookupResult) -> Expression {
    Expression::Lookup(Lookup {
        set: set.into(),
        source: Register(0),
        result,
    })
}

/// Looks up an endpoint and sends the connection to it.
pub(crate) fn destination_nat(family: Family, map: &str) -> Vec<Expression> {
    let (address, port) = (Register(0), Register(address_words(family)));
    vec![
        lookup(map, LookupResult::Value(address)),
        Expression::DestinationNat(DestinationNat {
            family,
            address,
            port,
        }),
    ]
}

/// Balances the connections of a service over `count` slots.
pub(crate) fn balance(family: Family, count: u32) -> Vec<Expression> {
    let slot = random(count, address_words(family) + 2);
    [
        service(family, 0),
        vec![slot],
        destination_nat(family, "endpoints"),
    ]
    .concat()
}

/// Sets the bit of the mark that asks for masquerading.
pub(crate) fn set_mark() -> Vec<Expression> {
    change_mark(!MARK, MARK)
}

/// Clears the bit of the mark that asks for masquerading.
pub(crate) fn clear_mark() -> Vec<Expression> {
    change_mark(u32::MAX, MARK)
}

fn change_mark(mask: u32, xor: u32) -> Vec<Expression> {
    vec![
        load_meta(MetaKey::Mark, 0),
        bitwise(&mask.to_ne_bytes(), &xor.to_ne_bytes()),
        Expression::Meta(Meta::Set {
            key: MetaKey::Mark,
            source: Register(0),
        }),
    ]
}

/// Goes on if masquerading was asked for.
pub(crate) fn is_marked() -> Vec<Expression> {
    vec![
        load_meta(MetaKey::Mark, 0),
        bitwise(&MARK.to_ne_bytes(), &[0; 4]),
        not_equal(&[0; 4]),
    ]
}

/// Goes on if the packet starts a connection.
pub(crate) fn is_new() -> Vec<Expression> {
    let (key, destination) = (ConntrackKey::State, Register(0));
    vec![
        Expression::Conntrack(Conntrack { key, destination }),
        bitwise(&8_u32.to_ne_bytes(), &[0; 4]),
        not_equal(&[0; 4]),
    ]
}

/// Goes on if an address is one of this host's.
pub(crate) fn is_local(address: FibAddress) -> Vec<Expression> {
    let local = kpx_nftables::expression::ROUTE_TYPE_LOCAL;
    let fib = Fib {
        address,
        destination: Register(0),
    };
    vec![Expression::Fib(fib), equal(&local.to_ne_bytes())]
}

/// The name of an interface as the kernel compares it.
pub(crate) fn interface(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    bytes
}

/// Adds or refreshes the client's element of `affinity`, with what stands at `data`.
pub(crate) fn learn_affinity(data: u8, timeout: Option<Duration>) -> Expression {
    Expression::DynamicSet(DynamicSet {
        operation: DynamicSetOperation::Update,
        set: "affinity".into(),
        key: Register(0),
        data: Some(Register(data)),
        timeout,
    })
}

/// Loads a constant.
pub(crate) fn constant(word: u8, value: &[u8]) -> Expression {
    let destination = Register(word);
    Expression::Immediate(Immediate::Value {
        destination,
        value: value.into(),
    })
}

/// Gives a verdict.
pub(crate) fn verdict(verdict: Verdict) -> Vec<Expression> {
    vec![Expression::Immediate(Immediate::Verdict(verdict))]
}

/// Goes to a chain for good.
pub(crate) fn goto(chain: &str) -> Vec<Expression> {
    verdict(Verdict::Goto(chain.into()))
}

/// Calls a chain.
pub(crate) fn jump(chain: &str) -> Vec<Expression> {
    verdict(Verdict::Jump(chain.into()))
}

/// Refuses the packet the way `nft` does by default.
pub(crate) fn reject(family: Family) -> Vec<Expression> {
    let code = match family {
        Family::Ipv4 => 3,
        Family::Ipv6 => 4,
    };
    vec![Expression::Reject(Reject { code })]
}

/// Translates the source, with a random port.
pub(crate) fn masquerade() -> Vec<Expression> {
    vec![Expression::Masquerade(Masquerade { fully_random: true })]
}

/// Counts packets.
pub(crate) fn counter() -> Vec<Expression> {
    vec![Expression::Counter(Counter::default())]
}
