//! One Service that the kernel refuses never blocks the others, and is not forgotten.

use std::collections::BTreeSet;

use kpx_nftables::fake::FakeRuleset;
use kpx_nftables::{Family, Object, Transaction, Verb};
use kpx_proxy::{Config, Proxier};
use serde_json::json;

use crate::dataplane::SharedKernel;
use crate::manifest;

type Fake = SharedKernel<FakeRuleset>;

/// A proxier that knows Services `s0` to `s{count - 1}`, each with an endpoint.
fn proxier(count: u8) -> (Proxier<Fake>, Fake) {
    let kernel = SharedKernel::new(FakeRuleset::new());
    let config = Config::from_json(&manifest::config().to_string()).unwrap();
    let mut proxier = Proxier::new(config, kernel.share());
    for index in 0..count {
        set_service(&mut proxier, index, 80);
        set_endpoint(&mut proxier, index, 1);
    }
    (proxier, kernel)
}

fn set_service(proxier: &mut Proxier<Fake>, index: u8, port: u16) {
    let address = format!("10.96.1.{index}");
    let spec = json!({"clusterIP": address, "ports": [{"name": "http", "port": port}]});
    let service = manifest::service(&format!("s{index}"), &spec, &[]);
    proxier.feed_event(&manifest::modified(&service)).unwrap();
}

fn set_endpoint(proxier: &mut Proxier<Fake>, index: u8, host: u8) {
    let ports = json!([{"name": "http", "port": 8080}]);
    let endpoint = manifest::endpoint(&format!("10.244.{index}.{host}"), "elsewhere");
    let service = format!("s{index}");
    let slice = manifest::slice(&service, Family::Ipv4, &ports, &[endpoint]);
    proxier.feed_event(&manifest::modified(&slice)).unwrap();
}

/// The Services that have frontends in the kernel.
fn programmed(proxier: &Proxier<Fake>) -> BTreeSet<String> {
    let frontends = proxier.programmed().unwrap().frontends.values();
    frontends
        .map(|elements| elements.service().to_owned())
        .collect()
}

fn names(indexes: impl IntoIterator<Item = u8>) -> BTreeSet<String> {
    let names = indexes.into_iter().map(|index| format!("default/s{index}"));
    names.collect()
}

#[test]
fn who_takes_over_an_address_and_is_refused_is_blamed_and_not_who_gives_it_up() {
    for is_named in [true, false] {
        let (mut proxier, kernel) = proxier(0);
        let claimants = [
            ("s0", "2025-01-01T00:00:00Z"),
            ("s1", "2024-01-01T00:00:00Z"),
        ];
        let [_, older] = claimants.map(|(name, created)| {
            let spec = json!({
                "clusterIP": format!("10.96.1.{}", &name[1..]),
                "externalIPs": ["203.0.113.1"],
                "ports": [{"port": 80}],
            });
            let mut service = manifest::service(name, &spec, &[]);
            service["metadata"]["creationTimestamp"] = created.into();
            proxier.feed_event(&manifest::modified(&service)).unwrap();
            service
        });
        proxier.sync(false).unwrap();

        proxier.feed_event(&manifest::deleted(&older)).unwrap();
        kernel.poison(&["default/s0:"], is_named);
        let report = proxier.sync(true).unwrap();

        let failed: Vec<&str> = report
            .failures
            .iter()
            .map(|failure| &*failure.name)
            .collect();
        assert_eq!(failed, ["default/s0"], "named: {is_named}");
        assert_eq!(programmed(&proxier), names([0]), "named: {is_named}");
    }
}

#[test]
fn services_the_kernel_refuses_are_left_out_and_tried_again() {
    for is_named in [true, false] {
        let (mut proxier, kernel) = proxier(20);
        kernel.poison(&["default/s3:", "default/s11:"], is_named);
        let report = proxier.sync(false).unwrap();
        let failed: BTreeSet<String> = report
            .failures
            .iter()
            .map(|failure| failure.name.to_string())
            .collect();
        assert_eq!(failed, names([3, 11]), "named: {is_named}");
        assert!(report.failures[0].reason.contains("on purpose"));
        let good = (0..20).filter(|index| ![3, 11].contains(index));
        assert_eq!(programmed(&proxier), names(good.clone()));
        assert!(!proxier.has_changes(), "what failed waits");

        // Others go on meanwhile, and nothing is asked of the kernel for those that failed.
        set_endpoint(&mut proxier, 4, 2);
        let report = proxier.sync(false).unwrap();
        assert!(report.operations > 0);
        assert_eq!(report.failures.len(), 2);
        assert_eq!(proxier.sync(true).unwrap().operations, 0, "a full pass too");

        kernel.poison(&["default/s11:"], is_named);
        // A Service that changes is tried again; the other one is not.
        set_service(&mut proxier, 3, 81);
        assert_eq!(proxier.sync(false).unwrap().failures.len(), 1);
        assert_eq!(
            programmed(&proxier),
            names((0..20).filter(|index| *index != 11))
        );

        kernel.poison(&[], is_named);
        assert_eq!(proxier.sync(false).unwrap().operations, 0);
        assert_eq!(proxier.retry(), 1);
        assert!(proxier.has_changes());
        assert_eq!(proxier.sync(false).unwrap().failures, []);
        assert_eq!(programmed(&proxier), names(0..20));
        assert_eq!(proxier.sync(true).unwrap().operations, 0);
    }
}

#[test]
fn what_was_programmed_for_a_refused_service_stays() {
    for is_named in [true, false] {
        let (mut proxier, kernel) = proxier(6);
        proxier.sync(false).unwrap();
        let before = proxier.programmed().unwrap().frontends.clone();
        kernel.poison(&["default/s2:"], is_named);
        set_service(&mut proxier, 2, 443);
        set_service(&mut proxier, 5, 443);
        let report = proxier.sync(false).unwrap();
        assert_eq!(report.failures.len(), 1, "named: {is_named}");
        let after = &proxier.programmed().unwrap().frontends;
        for (key, elements) in &before {
            let stays = elements.service() != "default/s5";
            assert_eq!(after.get(key) == Some(elements), stays, "{key}");
        }
    }
}

#[test]
fn a_deleted_service_that_failed_is_forgotten() {
    let (mut proxier, kernel) = proxier(3);
    kernel.poison(&["default/s1:"], true);
    assert_eq!(proxier.sync(false).unwrap().failures.len(), 1);
    let spec = json!({"clusterIP": "10.96.1.1", "ports": [{"name": "http", "port": 80}]});
    let service = manifest::service("s1", &spec, &[]);
    proxier.feed_event(&manifest::deleted(&service)).unwrap();
    assert_eq!(proxier.sync(false).unwrap().failures, []);
    assert_eq!(programmed(&proxier), names([0, 2]));
    assert_eq!(proxier.sync(true).unwrap().operations, 0);
}

#[test]
fn drift_is_told_and_repaired_by_difference() {
    let (mut proxier, kernel) = proxier(4);
    proxier.sync(false).unwrap();
    assert!(!proxier.drifted().unwrap());
    assert!(!proxier.has_changes());
    let mut transaction = Transaction::new();
    for table in kernel.read().tables.keys() {
        let table = Object::Table(table.clone());
        transaction.push(Verb::Delete, table).unwrap();
    }
    assert!(kernel.interfere(&transaction));
    assert!(proxier.drifted().unwrap());
    let report = proxier.sync(true).unwrap();
    assert!(report.repairs > 0);
    assert_eq!(programmed(&proxier), names(0..4));
    assert!(!proxier.drifted().unwrap());
    assert_eq!(proxier.sync(true).unwrap().repairs, 0);

    // A foreign write that a commit runs into costs nothing but a second look.
    assert!(kernel.interfere(&transaction));
    set_endpoint(&mut proxier, 2, 7);
    assert!(proxier.sync(false).unwrap().repairs > 0);
    assert_eq!(proxier.sync(true).unwrap().operations, 0);
}
