//! What the kernel refuses is named, and nothing of it is applied.

use std::sync::Arc;

use caps::CapSet;
use kpx_netlink::Socket;
use kpx_nftables::{
    Bytes, Client, CommitError, Data, DataType, Element, Elements, Expression, Family, Object,
    SetKind, Transaction, Verb, Verdict, next_generation,
};

use crate::namespace::{client, in_namespace};
use crate::rules::rules;
use crate::samples::{
    add, chain, elements, endpoint, endpoints, service_ips, service_key, set, table, whole,
};

const FAMILY: Family = Family::Ipv4;

/// A table with the two maps, and one endpoint.
fn prepare(client: &mut Client<Socket>) {
    let mut transaction = Transaction::new();
    let endpoints = Arc::new(endpoints(FAMILY));
    add(&mut transaction, Object::Table(table(FAMILY)));
    add(&mut transaction, Object::Set(Arc::clone(&endpoints)));
    add(&mut transaction, Object::Set(Arc::new(service_ips(FAMILY))));
    add(
        &mut transaction,
        elements(&endpoints, vec![endpoint(FAMILY, 1, 0)]),
    );
    client.commit(&transaction, None).unwrap();
}

fn delete(element: Element) -> Object {
    Object::Elements(Elements {
        set: Arc::new(endpoints(FAMILY)),
        elements: vec![element],
    })
}

/// The operation, element and object of a rejection.
fn named(error: &CommitError) -> (usize, Option<usize>, &str) {
    match error {
        CommitError::Rejected {
            operation,
            element,
            object,
            ..
        } => (*operation, *element, object),
        other => panic!("{other:?} is no rejection"),
    }
}

#[test]
fn an_element_that_does_not_exist_is_named() {
    in_namespace(|mut client| {
        prepare(&mut client);
        let before = client.dump("kpx").unwrap();
        let mut transaction = Transaction::new();
        add(&mut transaction, Object::Table(table(FAMILY)));
        transaction
            .push(Verb::Delete, delete(endpoint(FAMILY, 7, 3)))
            .unwrap();
        let error = client.commit(&transaction, None).unwrap_err();
        let object = "element 10.0.0.7 . tcp . 80 . 3 of ip kpx endpoints";
        assert_eq!(named(&error), (1, Some(0), object));
        assert_eq!(error.to_string(), format!("cannot delete {object}"));
        assert_eq!(client.dump("kpx").unwrap(), before);
    });
}

#[test]
fn an_element_far_into_a_large_operation_is_named() {
    in_namespace(|mut client| {
        prepare(&mut client);
        let map = Arc::new(service_ips(FAMILY));
        let verdicts = (0..5_000).map(|number| {
            let verdict = match number {
                4_321 => Verdict::Goto("nowhere".into()),
                _ => Verdict::Drop,
            };
            Element::new(service_key(FAMILY, number), Data::Verdict(verdict))
        });
        let mut transaction = Transaction::new();
        add(&mut transaction, elements(&map, verdicts.collect()));
        let error = client.commit(&transaction, None).unwrap_err();
        let object = "element 10.0.16.225 . tcp . 80 of ip kpx service-ips";
        assert_eq!(named(&error), (0, Some(4_321), object));
        let ruleset = client.dump("kpx").unwrap();
        let contents = &ruleset.tables[&table(FAMILY)].sets["service-ips"];
        assert!(contents.elements.is_empty());
    });
}

#[test]
fn an_interval_is_named_by_its_place_among_intervals() {
    in_namespace(|mut client| {
        client.commit(&whole(), None).unwrap();
        let mut cidrs = set(FAMILY, "cidrs", &[DataType::Ipv4Address], SetKind::Set);
        cidrs.flags.interval = true;
        let interval = |first: [u8; 4], last: [u8; 4]| {
            let mut element = Element::new(Bytes::from_slice(&first), Data::None);
            element.key_end = Some(Bytes::from_slice(&last));
            element
        };
        let mut transaction = Transaction::new();
        let overlapping = vec![
            interval([20, 0, 0, 0], [20, 0, 0, 255]),
            interval([21, 0, 0, 0], [21, 0, 0, 255]),
            interval([10, 0, 1, 128], [10, 0, 5, 255]),
        ];
        add(&mut transaction, elements(&Arc::new(cidrs), overlapping));
        let error = client.commit(&transaction, None).unwrap_err();
        let object = "element 10.0.1.128 of ip kpx cidrs";
        assert_eq!(named(&error), (0, Some(2), object));
    });
}

#[test]
fn an_element_with_other_data_exists_already() {
    in_namespace(|mut client| {
        prepare(&mut client);
        let map = Arc::new(endpoints(FAMILY));
        let mut other = endpoint(FAMILY, 1, 0);
        other.data = endpoint(FAMILY, 9, 9).data;
        let mut transaction = Transaction::new();
        add(
            &mut transaction,
            elements(&map, vec![endpoint(FAMILY, 1, 0)]),
        );
        client.commit(&transaction, None).unwrap();
        add(&mut transaction, elements(&map, vec![other]));
        match client.commit(&transaction, None).unwrap_err() {
            CommitError::Rejected {
                operation: 1,
                element: Some(0),
                source,
                ..
            } => assert!(source.is_exists() || source.is_busy(), "{source}"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_rule_to_nowhere_is_named() {
    in_namespace(|mut client| {
        prepare(&mut client);
        let mut transaction = Transaction::new();
        let chain = chain(FAMILY, "services", None);
        add(&mut transaction, Object::Chain(chain));
        let rule = rules(FAMILY)
            .into_iter()
            .find(|rule| rule.chain == "nat-prerouting")
            .unwrap();
        add(&mut transaction, Object::Rule(rule));
        let error = client.commit(&transaction, None).unwrap_err();
        let object = "rule in chain ip kpx nat-prerouting";
        assert_eq!(named(&error), (1, None, object));
        assert!(error.hint().is_none());
    });
}

#[test]
fn an_expression_that_the_kernel_lacks_is_named() {
    in_namespace(|mut client| {
        prepare(&mut client);
        let mut transaction = Transaction::new();
        let services = chain(FAMILY, "services", None);
        add(&mut transaction, Object::Chain(services));
        let mut rule = rules(FAMILY).remove(0);
        let unknown = Expression::Other {
            name: "frobnicate".into(),
            attributes: Bytes::new(),
        };
        rule.expressions.insert(1, unknown);
        add(&mut transaction, Object::Rule(rule));
        let error = client.commit(&transaction, None).unwrap_err();
        let object = "rule in chain ip kpx services, for its expression `frobnicate`";
        assert_eq!(named(&error), (1, None, object));
    });
}

#[test]
fn the_first_of_many_errors_is_given_and_the_next_commit_is_not_confused() {
    in_namespace(|mut client| {
        prepare(&mut client);
        let mut transaction = Transaction::new();
        for slot in 1..2_000 {
            transaction
                .push(Verb::Delete, delete(endpoint(FAMILY, 1, slot)))
                .unwrap();
        }
        let error = client.commit(&transaction, None).unwrap_err();
        assert_eq!(named(&error).0, 0);
        prepare(&mut client);
    });
}

#[test]
fn a_stale_generation_is_stale() {
    in_namespace(|mut client| {
        prepare(&mut client);
        let seen = client.generation().unwrap();
        let mut transaction = Transaction::new();
        add(&mut transaction, Object::Table(table(Family::Ipv6)));
        crate::namespace::client()
            .commit(&transaction, None)
            .unwrap();
        let error = client.commit(&transaction, Some(seen)).unwrap_err();
        assert!(error.is_stale(), "{error:?}");
        assert!(error.hint().is_some());
        let now = client.generation().unwrap();
        client.commit(&transaction, Some(now)).unwrap();
    });
}

#[test]
fn a_commit_gives_the_generation_it_made() {
    in_namespace(|mut client| {
        let mut transaction = Transaction::new();
        let before = client.generation().unwrap();
        assert_eq!(client.commit(&transaction, Some(before)).unwrap(), before);
        add(&mut transaction, Object::Table(table(FAMILY)));
        let after = next_generation(before);
        assert_eq!(client.commit(&transaction, Some(before)).unwrap(), after);
        assert_eq!(client.generation().unwrap(), after);
        // What is there already makes no generation.
        assert_eq!(client.commit(&transaction, Some(after)).unwrap(), after);
        assert_eq!(client.commit(&transaction, None).unwrap(), after);
    });
}

#[test]
fn without_the_capability_the_hint_names_it() {
    in_namespace(|_| {
        // Capabilities are a thread's own: no other test loses them.
        caps::clear(None, CapSet::Effective).unwrap();
        let mut client = client();
        let error = client.commit(&whole(), None).unwrap_err();
        assert!(error.is_permission(), "{error:?}");
        assert!(error.hint().unwrap().contains("CAP_NET_ADMIN"));
        let error = client.dump("kpx").unwrap_err();
        assert!(error.is_permission(), "{error:?}");
        assert!(error.hint().unwrap().contains("CAP_NET_ADMIN"));
    });
}
