//! Where the kernel differs, and that the rest is said without it.

use kpx_nftables::{Element, Elements, Object, Transaction, Verb};
use serde_json::json;

use super::fixture::{Fixture, endpoint, service, slice};
use crate::explain::{Difference, Explanation, Kernel, Outcome, Rule};
use crate::names::{chain, set};

fn objects() -> Vec<serde_json::Value> {
    let endpoints = [endpoint("10.244.1.1", "a"), endpoint("10.244.2.1", "b")];
    vec![
        service("web", 10, &json!({})),
        slice("web", &endpoints),
        service("other", 11, &json!({})),
        slice("other", &[endpoint("10.244.1.2", "a")]),
    ]
}

fn differences(explanation: &Explanation) -> &[Difference] {
    match &explanation.kernel {
        Kernel::Read { differences } => differences,
        Kernel::Unreadable { error } => panic!("{error}"),
    }
}

fn changes(explanation: &Explanation) -> Vec<String> {
    let changes = differences(explanation).iter();
    changes
        .map(|difference| difference.change.clone())
        .collect()
}

/// Deletes the elements of a set of the IPv4 table that a condition holds for.
fn delete(fixture: &mut Fixture, set: &str, is_meant: impl Fn(&[u8]) -> bool) {
    let kernel = &mut fixture.proxier.dataplane().ruleset;
    let tables = kernel.ruleset().tables.values();
    let contents = tables.flat_map(|table| table.sets.values());
    let contents = contents.filter(|contents| contents.set.name == set);
    let contents = contents.into_iter().next().unwrap();
    let elements = contents.elements.values();
    let elements: Vec<_> = elements
        .filter(|element| is_meant(&element.key))
        .map(|element| Element::clone(element))
        .collect();
    assert!(!elements.is_empty());
    let mut transaction = Transaction::new();
    let set = contents.set.clone();
    transaction
        .push(Verb::Delete, Object::Elements(Elements { set, elements }))
        .unwrap();
    kernel.apply(&transaction).unwrap();
}

#[test]
fn nothing_differs_after_a_sync() {
    let mut fixture = Fixture::programmed(&json!({}), &objects());
    for target in [
        "web",
        "10.96.0.10:80",
        "node:30010",
        "10.96.0.10:81",
        "8.8.8.8:1",
    ] {
        assert_eq!(changes(&fixture.explain(target, None)), [""; 0], "{target}");
    }
}

#[test]
fn a_missing_table_says_it_all() {
    let mut fixture = Fixture::new(&json!({}), &objects());
    let changes = changes(&fixture.explain("10.96.0.10:80", None));
    let [frontend, table, members @ ..] = changes.as_slice() else {
        panic!("{changes:?}");
    };
    assert!(frontend.starts_with("+ 10.96.0.10:80/tcp"), "{frontend}");
    assert!(frontend.contains(" lb-2 "), "{frontend}");
    assert_eq!(table, "+ table ip kpx");
    assert_eq!(
        members,
        [
            "+ cluster-ips 10.96.0.10",
            "+ hairpin-connections 10.244.1.1:8080/tcp"
        ]
    );
}

#[test]
fn only_what_concerns_the_target_is_named() {
    let mut fixture = Fixture::programmed(&json!({}), &objects());
    delete(&mut fixture, set::ENDPOINTS, |key| {
        key.starts_with(&[10, 96, 0, 10])
    });
    let explanation = fixture.explain("10.96.0.10:80", None);
    let [difference] = differences(&explanation) else {
        panic!("{explanation:?}");
    };
    assert_eq!(
        difference.change.split_whitespace().collect::<Vec<_>>(),
        [
            "~",
            "10.96.0.10:80/tcp",
            "+10.244.1.1:8080",
            "+10.244.2.1:8080"
        ]
    );
    let programmed = difference.programmed.as_ref().unwrap();
    assert!(programmed.endpoints.is_empty());
    assert_eq!(
        difference
            .desired
            .as_ref()
            .unwrap()
            .endpoints
            .endpoints()
            .count(),
        2
    );
    for target in ["other", "203.0.113.10:80", "10.96.0.10:81"] {
        assert_eq!(changes(&fixture.explain(target, None)), [""; 0], "{target}");
    }
}

#[test]
fn chains_that_packets_meet_are_compared() {
    let mut fixture = Fixture::programmed(&json!({}), &objects());
    let kernel = &mut fixture.proxier.dataplane().ruleset;
    let tables = kernel.ruleset().tables.values();
    let chains = tables.flat_map(|table| table.chains.values());
    let chains = chains.filter(|contents| {
        let name = contents.chain.name.as_str();
        contents.chain.table.family == kpx_nftables::Family::Ipv4
            && [chain::SERVICES, "lb-1", "lb-2"].contains(&name)
    });
    let mut transaction = Transaction::new();
    for contents in chains {
        transaction
            .push(Verb::Flush, Object::Chain(contents.chain.clone()))
            .unwrap();
    }
    kernel.apply(&transaction).unwrap();
    assert_eq!(
        changes(&fixture.explain("10.96.0.10:80", None)),
        [
            "~ chain ip services has other rules",
            "~ chain ip lb-2 has other rules"
        ]
    );
}

#[test]
fn what_the_kernel_still_holds_for_nobody_is_named() {
    let mut fixture = Fixture::programmed(&json!({}), &objects());
    let line = json!({"type": "DELETED", "object": objects()[0]}).to_string();
    fixture.proxier.feed_event(line.as_bytes()).unwrap();
    let explanation = fixture.explain("10.96.0.10:80", None);
    assert_eq!(
        explanation.unserved.as_ref().unwrap().rule,
        Rule::UnallocatedServiceIp
    );
    let changes = changes(&explanation);
    assert!(changes[0].starts_with("- 10.96.0.10:80/tcp"), "{changes:?}");
    assert_eq!(changes[1..], ["- cluster-ips 10.96.0.10"]);
}

#[test]
fn what_is_kept_for_an_invalid_service_is_named() {
    let mut fixture = Fixture::programmed(&json!({}), &objects());
    let bad = service("web", 10, &json!({"clusterIP": "10.96.0.300"}));
    fixture.proxier.feed(bad.to_string().as_bytes()).unwrap();
    let restarted = std::mem::take(&mut fixture.proxier.dataplane().ruleset);
    let mut fixture = Fixture::new(&json!({}), &[]);
    fixture.proxier.feed(bad.to_string().as_bytes()).unwrap();
    fixture.proxier.dataplane().ruleset = restarted;
    for target in ["10.96.0.10:80", "node:30010", "192.0.2.1:30010"] {
        let unserved = fixture.explain(target, None).unserved.unwrap();
        assert_eq!(
            (unserved.rule, unserved.outcome),
            (Rule::KeptService, Outcome::Kept)
        );
        assert!(
            unserved
                .reason
                .ends_with("10.244.1.1:8080, 10.244.2.1:8080")
        );
    }
}

#[test]
fn a_kernel_that_cannot_be_read_is_no_error() {
    let mut fixture = Fixture::programmed(&json!({}), &objects());
    fixture.proxier.dataplane().is_forbidden = true;
    let explanation = fixture.explain("web", None);
    assert_eq!(explanation.ports.len(), 1);
    assert_eq!(
        explanation.kernel,
        Kernel::Unreadable {
            error: "permission denied".to_owned()
        }
    );
}
