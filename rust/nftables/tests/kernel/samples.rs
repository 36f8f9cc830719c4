//! A table with every kind of object and expression that kpx makes, for either family.

use std::sync::Arc;
use std::time::Duration;

use kpx_nftables::{
    BaseChain, Bytes, Chain, ChainKind, Data, DataType, Element, Elements, Family, Hook, Object,
    Set, SetFlags, SetKind, Table, Transaction, Verb, Verdict,
};

use crate::rules::rules;

pub(crate) fn table(family: Family) -> Table {
    Table {
        family,
        name: "kpx".into(),
    }
}

pub(crate) fn chain(family: Family, name: &str, base: Option<BaseChain>) -> Chain {
    Chain {
        table: table(family),
        name: name.into(),
        base,
    }
}

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

/// The map of a service's address, protocol and port to a verdict.
pub(crate) fn service_ips(family: Family) -> Set {
    let key = [
        DataType::address(family),
        DataType::InetProto,
        DataType::InetService,
    ];
    set(family, "service-ips", &key, SetKind::VerdictMap)
}

/// The map of a service's address, protocol, port and slot to an endpoint.
pub(crate) fn endpoints(family: Family) -> Set {
    let key = [
        DataType::address(family),
        DataType::InetProto,
        DataType::InetService,
        DataType::Integer,
    ];
    set(family, "endpoints", &key, endpoint_data(family))
}

pub(crate) fn endpoint_data(family: Family) -> SetKind {
    SetKind::Map(vec![DataType::address(family), DataType::InetService])
}

/// An address of the family that ends in the given number.
pub(crate) fn address(family: Family, number: u32) -> Vec<u8> {
    let mut bytes = match family {
        Family::Ipv4 => vec![10, 0, 0, 0],
        Family::Ipv6 => vec![0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    };
    let number = number.to_be_bytes();
    let length = bytes.len();
    bytes[length - 3..].copy_from_slice(&number[1..]);
    bytes
}

/// Fields one behind the other, each padded to a register.
pub(crate) fn concatenation(fields: &[&[u8]]) -> Bytes {
    let mut bytes = Bytes::new();
    for field in fields {
        bytes.extend_from_slice(field);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// The key of TCP port 80 of an address.
pub(crate) fn service_key(family: Family, number: u32) -> Bytes {
    concatenation(&[&address(family, number), &[6], &80_u16.to_be_bytes()])
}

pub(crate) fn endpoint(family: Family, service: u32, slot: u32) -> Element {
    let mut key = service_key(family, service);
    key.extend_from_slice(&slot.to_ne_bytes());
    let port = 8080_u16.to_be_bytes();
    let value = concatenation(&[&address(family, 0x10_0000 + service + slot), &port]);
    Element::new(key, Data::Value(value))
}

pub(crate) fn add(transaction: &mut Transaction, object: Object) {
    transaction.push(Verb::Add, object).unwrap();
}

pub(crate) fn elements(set: &Arc<Set>, elements: Vec<Element>) -> Object {
    Object::Elements(Elements {
        set: Arc::clone(set),
        elements,
    })
}

/// Everything, in both families.
pub(crate) fn whole() -> Transaction {
    let mut transaction = Transaction::new();
    for family in Family::ALL {
        add(&mut transaction, Object::Table(table(family)));
        add_chains(&mut transaction, family);
        add_sets(&mut transaction, family);
        for rule in rules(family) {
            add(&mut transaction, Object::Rule(rule));
        }
    }
    transaction
}

fn add_chains(transaction: &mut Transaction, family: Family) {
    for (name, kind, hook, priority) in [
        ("nat-prerouting", ChainKind::Nat, Hook::Prerouting, -100),
        ("nat-output", ChainKind::Nat, Hook::Output, -100),
        ("nat-postrouting", ChainKind::Nat, Hook::Postrouting, 100),
        ("filter-input", ChainKind::Filter, Hook::Input, -110),
        ("filter-forward", ChainKind::Filter, Hook::Forward, -110),
    ] {
        let base = BaseChain {
            kind,
            hook,
            priority,
        };
        add(transaction, Object::Chain(chain(family, name, Some(base))));
    }
    for name in ["services", "lb-2", "mark-for-masquerade"] {
        add(transaction, Object::Chain(chain(family, name, None)));
    }
}

fn add_sets(transaction: &mut Transaction, family: Family) {
    let address_type = DataType::address(family);
    let service_type = [address_type, DataType::InetProto, DataType::InetService];
    let commented = |mut element: Element, comment: &str| {
        element.comment = Some(comment.into());
        element
    };
    let to_chain = |name: &str| Data::Verdict(Verdict::Goto(name.into()));
    let mut with = |set: Set, members: Vec<Element>| {
        let set = Arc::new(set);
        add(transaction, Object::Set(Arc::clone(&set)));
        add(transaction, elements(&set, members));
    };
    with(
        service_ips(family),
        vec![
            commented(
                Element::new(service_key(family, 1), to_chain("lb-2")),
                "default/web:http, which is longer than a name kept inline",
            ),
            Element::new(service_key(family, 2), Data::Verdict(Verdict::Drop)),
        ],
    );
    with(
        endpoints(family),
        vec![
            commented(endpoint(family, 1, 0), "default/web:http"),
            endpoint(family, 1, 1),
        ],
    );
    with(
        set(family, "nodeport-ips", &[address_type], SetKind::Set),
        vec![Element::new(
            Bytes::from_vec(address(family, 9)),
            Data::None,
        )],
    );
    let mut cidrs = set(family, "cidrs", &[address_type], SetKind::Set);
    cidrs.flags.interval = true;
    with(cidrs, cidr_elements(family));
    let ranges_type = [service_type.as_slice(), &[address_type]].concat();
    let mut ranges = set(family, "source-ranges", &ranges_type, SetKind::Set);
    ranges.flags.interval = true;
    let mut range = Element::new(source_key(family, 0x100), Data::None);
    range.key_end = Some(source_key(family, 0x1ff));
    let single = Element::new(source_key(family, 0x300), Data::None);
    with(ranges, vec![range, single]);
    let affinity_type = [&[address_type], service_type.as_slice()].concat();
    let mut affinity = set(family, "affinity", &affinity_type, endpoint_data(family));
    affinity.flags.timeout = true;
    affinity.flags.dynamic = true;
    affinity.timeout = Some(Duration::from_secs(3 * 3600));
    affinity.size = Some(65_536);
    // What packets add to a dynamic set is not read back, so the element is in one like it.
    let mut expiring = affinity.clone();
    expiring.name = "expiring".into();
    expiring.flags.dynamic = false;
    let affine = [address(family, 3), service_key(family, 1).to_vec()].concat();
    let mut affine = Element::new(Bytes::from_vec(affine), endpoint(family, 1, 0).data);
    affine.timeout = Some(Duration::from_secs(60));
    with(affinity, vec![]);
    with(expiring, vec![affine]);
}

/// The key of a source address that a service admits.
fn source_key(family: Family, source: u32) -> Bytes {
    let mut key = service_key(family, 1);
    key.extend_from_slice(&address(family, source));
    key
}

/// Intervals that touch one another, a single key, and one that reaches to the last key.
fn cidr_elements(family: Family) -> Vec<Element> {
    let interval = |first: Vec<u8>, last: Vec<u8>| {
        let mut element = Element::new(Bytes::from_vec(first), Data::None);
        element.key_end = Some(Bytes::from_vec(last)).filter(|last| *last != element.key);
        element
    };
    let highest = vec![0xff; family.address_length()];
    let mut multicast = vec![0; family.address_length()];
    multicast[0] = 0xff;
    vec![
        interval(address(family, 0x100), address(family, 0x1ff)),
        interval(address(family, 0x200), address(family, 0x2ff)),
        interval(address(family, 0x400), address(family, 0x400)),
        interval(multicast, highest),
    ]
}
