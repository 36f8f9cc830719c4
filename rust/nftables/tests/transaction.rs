//! A transaction takes only what some kernel might accept.

use std::sync::Arc;

use kpx_nftables::{
    Bytes, Chain, Data, DataType, Element, Elements, Family, Name, Object, Rule, Set, SetFlags,
    SetKind, Table, Transaction, TransactionError, Verb, Verdict,
};

fn table(name: &str) -> Table {
    Table {
        family: Family::Ipv4,
        name: name.into(),
    }
}

fn set(kind: SetKind) -> Arc<Set> {
    Arc::new(Set {
        table: table("kpx"),
        name: "set".into(),
        key: vec![DataType::Ipv4Address, DataType::InetService],
        kind,
        flags: SetFlags::default(),
        timeout: None,
        size: None,
    })
}

fn element(key_length: usize, data: Data) -> Element {
    Element::new(Bytes::from_elem(1, key_length), data)
}

fn value(length: usize) -> Data {
    Data::Value(Bytes::from_elem(2, length))
}

fn push(verb: Verb, object: Object) -> Result<(), TransactionError> {
    let mut transaction = Transaction::new();
    let result = transaction.push(verb, object);
    assert_eq!(transaction.is_empty(), result.is_err());
    result
}

fn push_element(verb: Verb, kind: SetKind, element: Element) -> Result<(), TransactionError> {
    let elements = Elements {
        set: set(kind),
        elements: vec![self::element(8, element.data.clone()), element],
    };
    push(verb, Object::Elements(elements))
}

#[test]
fn verbs_are_those_that_exist() {
    let chain = Chain {
        table: table("kpx"),
        name: "chain".into(),
        base: None,
    };
    let rule = Rule {
        table: table("kpx"),
        chain: "chain".into(),
        expressions: Vec::new(),
        comment: None,
    };
    let elements = Elements {
        set: set(SetKind::Set),
        elements: Vec::new(),
    };
    let verbs = [Verb::Add, Verb::Delete, Verb::Flush];
    for (object, accepted) in [
        (Object::Table(table("kpx")), [true, true, false]),
        (Object::Chain(chain), [true, true, true]),
        (Object::Rule(rule), [true, false, false]),
        (Object::Set(set(SetKind::Set)), [true, true, true]),
        (Object::Elements(elements), [true, true, false]),
    ] {
        let actual = verbs.map(|verb| push(verb, object.clone()).is_ok());
        assert_eq!(actual, accepted, "{object:?}");
    }
}

#[test]
fn names_have_a_bound() {
    assert!(push(Verb::Add, Object::Table(table(&"x".repeat(255)))).is_ok());
    for name in [String::new(), "x".repeat(256)] {
        let error = push(Verb::Add, Object::Table(table(&name))).unwrap_err();
        assert!(matches!(
            error,
            TransactionError::Name {
                object: "table",
                ..
            }
        ));
    }
}

#[test]
fn lengths_are_those_of_the_set() {
    let map = || SetKind::Map(vec![DataType::Ipv4Address, DataType::InetService]);
    assert_eq!(push_element(Verb::Add, map(), element(8, value(8))), Ok(()));
    let length = |part, actual| {
        Err(TransactionError::Length {
            set: "set".into(),
            index: 1,
            part,
            actual,
            expected: 8,
        })
    };
    let add = |element| push_element(Verb::Add, map(), element);
    assert_eq!(add(element(6, value(8))), length("key", 6));
    let ranged = Element {
        key_end: Some(Bytes::from_elem(1, 4)),
        ..element(8, value(8))
    };
    assert_eq!(add(ranged), length("key end", 4));
    let mut elements = Elements {
        set: set(map()),
        elements: vec![element(8, value(8)), element(8, value(6))],
    };
    let object = Object::Elements(elements.clone());
    assert_eq!(push(Verb::Add, object), length("data", 6));
    // To delete, the data does not count.
    elements.elements[1].data = Data::None;
    assert_eq!(push(Verb::Delete, Object::Elements(elements)), Ok(()));
}

#[test]
fn data_is_of_the_kind_of_the_set() {
    let map = || SetKind::Map(vec![DataType::Ipv4Address, DataType::InetService]);
    let data = [Data::None, value(8), Data::Verdict(Verdict::Drop)];
    for (accepted, kind) in [SetKind::Set, map(), SetKind::VerdictMap]
        .into_iter()
        .enumerate()
    {
        for (index, data) in data.iter().enumerate() {
            let result = push_element(Verb::Add, kind.clone(), element(8, data.clone()));
            assert_eq!(result.is_ok(), index == accepted, "{kind:?} {data:?}");
        }
    }
}

#[test]
fn comments_have_the_bound_of_nft() {
    let comment = |length: usize| Element {
        comment: Some(Name::from("x".repeat(length))),
        ..element(8, Data::None)
    };
    assert_eq!(push_element(Verb::Add, SetKind::Set, comment(128)), Ok(()));
    let error = push_element(Verb::Add, SetKind::Set, comment(129)).unwrap_err();
    assert!(matches!(error, TransactionError::Comment { .. }));
}
