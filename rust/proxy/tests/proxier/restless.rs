//! Somebody else writes to tables of their own without a pause: what changes is programmed.

use kpx_nftables::fake::FakeRuleset;
use kpx_nftables::{Family, Object, Transaction, Verb};
use kpx_proxy::layout::SetTable;
use kpx_proxy::programmed::Programmed;
use kpx_proxy::{Config, Proxier, SyncError};
use serde_json::json;

use crate::dataplane::{Restless, SharedKernel};
use crate::manifest;

type Fake = SharedKernel<FakeRuleset>;

const RESTLESS: [Restless; 2] = [Restless::Commits, Restless::Lists];

/// A proxier on a kernel that knows a Service with these endpoints.
fn proxier(kernel: &Fake, hosts: &[u8]) -> Proxier<Fake> {
    let config = Config::from_json(&manifest::config().to_string()).unwrap();
    let mut proxier = Proxier::new(config, kernel.share());
    let spec = json!({"clusterIP": "10.96.0.1", "ports": [{"port": 80}]});
    let service = manifest::service("web", &spec, &[]);
    proxier.feed_event(&manifest::modified(&service)).unwrap();
    set_endpoints(&mut proxier, hosts);
    proxier
}

fn set_endpoints(proxier: &mut Proxier<Fake>, hosts: &[u8]) {
    let endpoints: Vec<_> = hosts
        .iter()
        .map(|host| manifest::endpoint(&format!("10.244.0.{host}"), "elsewhere"))
        .collect();
    let slice = manifest::slice("web", Family::Ipv4, &json!([{"name": ""}]), &endpoints);
    proxier.feed_event(&manifest::modified(&slice)).unwrap();
}

/// Asserts that the kernel holds what a proxier that starts anew wants, but for chains that nothing
/// leads to any more.
fn assert_programmed(kernel: &Fake, hosts: &[u8]) {
    kernel.disturb(Restless::No);
    let plan = proxier(kernel, hosts).plan_all().unwrap();
    assert_eq!(plan.len(), plan.prune.len(), "{plan}");
}

#[test]
fn changes_are_programmed_one_after_the_other() {
    for restless in RESTLESS {
        let kernel = SharedKernel::new(FakeRuleset::new());
        let mut proxier = proxier(&kernel, &[1, 2]);
        proxier.sync(false).unwrap();
        for (hosts, full) in [(&[2, 3][..], false), (&[3], true), (&[3, 4, 5], false)] {
            kernel.disturb(restless);
            set_endpoints(&mut proxier, hosts);
            let report = proxier.sync(full).unwrap();
            assert!(report.operations > 0);
            assert_eq!(report.failures, []);
            assert!(
                proxier.drifted().unwrap(),
                "it is to be read once it can be"
            );
            assert_programmed(&kernel, hosts);
        }
        proxier.sync(true).unwrap();
        let observed = Programmed::adopt(kernel.read(), &SetTable::default());
        assert_eq!(proxier.programmed(), Some(&observed));
        assert!(!proxier.drifted().unwrap());
    }
}

#[test]
fn no_service_is_blamed_where_our_tables_are_not_as_they_were() {
    let kernel = SharedKernel::new(FakeRuleset::new());
    let mut proxier = proxier(&kernel, &[1, 2]);
    proxier.sync(false).unwrap();
    let mut deletion = Transaction::new();
    for table in kernel.read().tables.into_keys() {
        deletion.push(Verb::Delete, Object::Table(table)).unwrap();
    }
    assert!(kernel.interfere(&deletion));
    kernel.disturb(Restless::Lists);
    set_endpoints(&mut proxier, &[2, 3]);
    for full in [false, true] {
        let outcome = proxier.sync(full);
        assert!(matches!(outcome, Err(SyncError::Observe(_))), "{outcome:?}");
        assert_eq!(proxier.failures(), []);
        assert!(proxier.has_changes());
    }
    kernel.disturb(Restless::No);
    proxier.sync(false).unwrap();
    assert_programmed(&kernel, &[2, 3]);
}

#[test]
fn nothing_is_written_before_the_kernel_was_read_once() {
    let kernel = SharedKernel::new(FakeRuleset::new());
    kernel.disturb(Restless::Lists);
    let outcome = proxier(&kernel, &[1]).sync(false);
    assert!(matches!(outcome, Err(SyncError::Observe(_))), "{outcome:?}");
    assert!(kernel.read().tables.is_empty());
    // Where it can be read between two commits, it is programmed.
    kernel.disturb(Restless::Commits);
    proxier(&kernel, &[1]).sync(false).unwrap();
    assert_programmed(&kernel, &[1]);
}
