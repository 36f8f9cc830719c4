//! What a change of endpoints costs in operations: it does not depend on their number.

use std::collections::BTreeMap;
use std::ops::Range;

use kpx_nftables::fake::FakeRuleset;
use kpx_nftables::{Family, Object, Operation, TransactionError, Verb};
use kpx_proxy::Proxier;
use kpx_proxy::layout::SetTable;
use kpx_proxy::programmed::Programmed;
use serde_json::{Value, json};

use crate::dataplane::SharedKernel;
use crate::manifest::{self, endpoint, modified, proxier, service, slice};
use crate::universe::NODE;

/// A Service with one frontend of each kind.
fn web(policy: &str) -> Value {
    let spec = json!({
        "type": "LoadBalancer", "clusterIPs": ["10.96.0.1"], "ports": ports(),
        "externalIPs": ["203.0.113.2"], "externalTrafficPolicy": policy,
    });
    service("web", &spec, &["203.0.113.1".to_owned()])
}

fn ports() -> Value {
    json!([{"name": "http", "port": 80, "nodePort": 30080}])
}

/// The slice of endpoints on a node.
fn endpoints(numbers: &[u32], node: &str) -> Value {
    let endpoints: Vec<_> = numbers
        .iter()
        .map(|number| {
            let [_, _, third, fourth] = number.to_be_bytes();
            endpoint(&format!("10.244.{third}.{fourth}"), node)
        })
        .collect();
    slice("web", Family::Ipv4, &ports(), &endpoints)
}

fn numbers(range: Range<u32>) -> Vec<u32> {
    range.collect()
}

type Fake = Proxier<SharedKernel<FakeRuleset>>;

/// A proxier that has programmed a Service with endpoints.
fn programmed(policy: &str, numbers: &[u32], node: &str) -> Fake {
    let mut proxier = proxier(&manifest::config());
    proxier.feed_event(&modified(&web(policy))).unwrap();
    change(&mut proxier, numbers, node);
    proxier
}

/// Gives the Service other endpoints, and counts what that costs by verb and set; chains and
/// rules by what they are.
fn change(proxier: &mut Fake, numbers: &[u32], node: &str) -> Costs {
    proxier
        .feed_event(&modified(&endpoints(numbers, node)))
        .unwrap();
    let plan = proxier.plan().unwrap();
    let costs = costs(plan.operations(&SetTable::default()));
    let report = proxier.apply(&plan).unwrap();
    assert_eq!(report.operations, costs.values().sum::<usize>());
    let observed = Programmed::adopt(proxier.dataplane().read(), &SetTable::default());
    assert_eq!(proxier.programmed(), Some(&observed));
    costs
}

type Costs = BTreeMap<String, usize>;

fn costs(operations: impl Iterator<Item = Result<Operation, TransactionError>>) -> Costs {
    let mut costs = Costs::new();
    for operation in operations.map(Result::unwrap) {
        let (what, count) = match &operation.object {
            Object::Elements(elements) => (elements.set.name.as_str(), elements.elements.len()),
            object => (object.keyword(), 1),
        };
        let verb = operation.verb.keyword();
        assert!(matches!(operation.verb, Verb::Add | Verb::Delete));
        *costs.entry(format!("{verb} {what}")).or_default() += count;
    }
    costs
}

fn expected(costs: &[(&str, usize)]) -> Costs {
    costs
        .iter()
        .map(|(what, count)| ((*what).to_owned(), *count))
        .collect()
}

/// The chains of new numbers of endpoints: one each for cluster IPs, the two other addresses, and
/// node ports.
const NEW_CHAINS: [(&str, usize); 2] = [("add chain", 3), ("add rule", 3)];

/// The verdicts of three addresses and one node port.
const SWAPPED_VERDICTS: [(&str, usize); 4] = [
    ("delete service-ips", 3),
    ("add service-ips", 3),
    ("delete service-nodeports", 1),
    ("add service-nodeports", 1),
];

#[test]
fn replacing_an_endpoint_costs_one_slot() {
    for count in [1, 2, 3, 10, 100, 1000] {
        for replaced in [0, count / 2, count - 1] {
            let mut proxier = programmed("Cluster", &numbers(0..count), "node-b");
            let mut after = numbers(0..count);
            after.retain(|number| *number != replaced);
            after.push(count + 1);
            let costs = change(&mut proxier, &after, "node-b");
            let slots = [
                ("delete endpoints", 3),
                ("add endpoints", 3),
                ("delete nodeport-endpoints", 1),
                ("add nodeport-endpoints", 1),
            ];
            assert_eq!(costs, expected(&slots), "{replaced} of {count}");
        }
    }
}

#[test]
fn removing_an_endpoint_costs_at_most_two_slots_and_the_verdict() {
    for count in [2, 3, 10, 100, 1000] {
        for removed in [0, count / 2, count - 1] {
            let mut proxier = programmed("Cluster", &numbers(0..count), "node-b");
            let mut after = numbers(0..count);
            after.retain(|number| *number != removed);
            let costs = change(&mut proxier, &after, "node-b");
            // The last endpoint moves into the hole, unless it is the one removed.
            let slots: &[(&str, usize)] = if removed == count - 1 {
                &[("delete endpoints", 3), ("delete nodeport-endpoints", 1)]
            } else {
                &[
                    ("delete endpoints", 6),
                    ("add endpoints", 3),
                    ("delete nodeport-endpoints", 2),
                    ("add nodeport-endpoints", 1),
                ]
            };
            let all = [slots, &SWAPPED_VERDICTS, &NEW_CHAINS].concat();
            assert_eq!(costs, expected(&all), "{removed} of {count}");
        }
    }
}

#[test]
fn adding_an_endpoint_costs_one_slot_and_the_verdict() {
    for count in [1, 2, 10, 100, 1000] {
        let mut proxier = programmed("Cluster", &numbers(1..count + 1), "node-b");
        // It comes before all others where endpoints are sorted.
        let costs = change(&mut proxier, &numbers(0..count + 1), "node-b");
        let slots = [("add endpoints", 3), ("add nodeport-endpoints", 1)];
        let all = [&slots[..], &SWAPPED_VERDICTS, &NEW_CHAINS].concat();
        assert_eq!(costs, expected(&all), "{count}");
    }
}

#[test]
fn what_is_as_it_was_costs_nothing() {
    let mut proxier = programmed("Cluster", &numbers(0..100), "node-b");
    let mut shuffled = numbers(0..100);
    shuffled.reverse();
    assert_eq!(change(&mut proxier, &shuffled, "node-b"), Costs::new());
    proxier.feed_event(&modified(&web("Cluster"))).unwrap();
    assert!(proxier.plan().unwrap().is_empty());
}

#[test]
fn a_local_endpoint_is_in_two_lists_and_among_the_hairpins() {
    let mut proxier = programmed("Local", &numbers(0..10), NODE);
    let costs = change(&mut proxier, &numbers(1..11), NODE);
    let slots = [
        ("delete endpoints", 3),
        ("add endpoints", 3),
        ("delete endpoints-local", 2),
        ("add endpoints-local", 2),
        ("delete nodeport-endpoints", 1),
        ("add nodeport-endpoints", 1),
        ("delete nodeport-endpoints-local", 1),
        ("add nodeport-endpoints-local", 1),
        ("delete hairpin-connections", 1),
        ("add hairpin-connections", 1),
    ];
    assert_eq!(costs, expected(&slots));
}

#[test]
fn a_chain_that_is_there_is_not_made_again() {
    let mut proxier = programmed("Cluster", &numbers(0..3), "node-b");
    change(&mut proxier, &numbers(0..2), "node-b");
    let costs = change(&mut proxier, &numbers(0..3), "node-b");
    assert!(!costs.contains_key("add chain"), "{costs:?}");
    assert!(!costs.contains_key("add rule"), "{costs:?}");
}
