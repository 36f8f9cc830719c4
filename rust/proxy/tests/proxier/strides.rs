//! Of a plan of any size only a few operations are in memory at a time.

use std::collections::HashSet;

use kpx_nftables::fake::FakeRuleset;
use kpx_nftables::{Elements, Family, Object, Verb};
use kpx_proxy::layout::SetTable;
use kpx_proxy::programmed::Programmed;
use kpx_proxy::{ApplyError, Proxier};
use serde_json::json;

use crate::dataplane::SharedKernel;
use crate::manifest;
use crate::universe::NODE;

type Fake = SharedKernel<FakeRuleset>;

/// A proxier that knows so many Services, each with two endpoints.
fn proxier(count: u16) -> Proxier<Fake> {
    let mut proxier = manifest::proxier(&manifest::config());
    for index in 0..count {
        let [high, low] = index.to_be_bytes();
        let spec = json!({"clusterIP": format!("10.96.{high}.{low}"), "ports": [{"port": 80}]});
        let service = manifest::service(&format!("s{index}"), &spec, &[]);
        proxier.feed_event(&manifest::modified(&service)).unwrap();
    }
    set_endpoints(&mut proxier, count, 244);
    proxier
}

/// Gives every Service an endpoint elsewhere and one here, with addresses in a network of their own.
fn set_endpoints(proxier: &mut Proxier<Fake>, count: u16, network: u8) {
    for index in 0..count {
        let [high, low] = (2 * index).to_be_bytes();
        let endpoints = [(low, "elsewhere"), (low + 1, NODE)]
            .map(|(low, node)| manifest::endpoint(&format!("10.{network}.{high}.{low}"), node));
        let ports = json!([{"name": ""}]);
        let slice = manifest::slice(&format!("s{index}"), Family::Ipv4, &ports, &endpoints);
        proxier.feed_event(&manifest::modified(&slice)).unwrap();
    }
}

/// What the next plan does to elements, in order.
fn element_operations(proxier: &mut Proxier<Fake>) -> Vec<(Verb, Elements)> {
    let plan = proxier.plan().unwrap();
    let sets = SetTable::default();
    let operations = plan.operations(&sets).map(Result::unwrap);
    let elements = operations.filter_map(|operation| match operation.object {
        Object::Elements(elements) => Some((operation.verb, elements)),
        _ => None,
    });
    elements.collect()
}

fn largest(operations: &[(Verb, Elements)]) -> Option<usize> {
    let lengths = operations.iter().map(|(_, list)| list.elements.len());
    lengths.max()
}

#[test]
fn no_operation_grows_with_the_number_of_services() {
    let [some, more] = [1_200, 3_000].map(|count| {
        let operations = element_operations(&mut proxier(count));
        // A verdict, a cluster IP, a hairpin and two endpoints.
        let total: usize = operations.iter().map(|(_, list)| list.elements.len()).sum();
        assert_eq!(total, 5 * usize::from(count));
        largest(&operations)
    });
    assert_eq!(some, more);
}

#[test]
fn what_is_replaced_is_deleted_first() {
    let count = 1_200;
    let mut proxier = proxier(count);
    proxier.sync(false).unwrap();
    set_endpoints(&mut proxier, count, 245);
    let mut deleted = HashSet::new();
    let mut replaced = 0;
    for (verb, list) in element_operations(&mut proxier) {
        for element in list.elements {
            let key = (list.set.name.clone(), element.key);
            match verb {
                Verb::Delete => assert!(deleted.insert(key)),
                _ => replaced += usize::from(deleted.remove(&key)),
            }
        }
    }
    assert_eq!(replaced, 2 * usize::from(count), "every endpoint");
    proxier.sync(false).unwrap();
    let observed = Programmed::adopt(proxier.dataplane().read(), &SetTable::default());
    assert_eq!(proxier.programmed(), Some(&observed));
}

#[test]
fn whoever_is_refused_is_named_wherever_it_stands() {
    for index in [0, 600, 1_199] {
        let mut proxier = proxier(1_200);
        let owner = format!("default/s{index}:");
        proxier.dataplane().poison(&[&owner], true);
        let plan = proxier.plan().unwrap();
        let named = match proxier.apply(&plan) {
            Err(ApplyError::Commit { service, .. }) => service,
            other => panic!("{other:?}"),
        };
        assert_eq!(named.as_deref(), Some(&*owner));
    }
}
