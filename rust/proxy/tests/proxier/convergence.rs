//! Random histories: whatever happens, in whatever order, the kernel ends up holding what the
//! objects that are left ask for, and the proxier knows what it holds.

use kpx_nftables::fake::FakeRuleset;
use kpx_proxy::plan::MemberChange;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::dataplane::{Fault, Kernel};
use crate::edit::{Edit, edit};
use crate::harness::{Extent, Harness, tables};
use crate::namespace::{in_namespace, nft};
use crate::universe::{
    self, Identity, NODE, NODE_ADDRESSES, Object, Worth, config, identity, object,
};

#[derive(Clone, Debug)]
enum Step {
    Set(Object),
    Delete(Identity),
    Sync(Extent),
    /// Objects change between a plan and its execution.
    SyncLate(Extent, Vec<Object>),
    /// The commit after the first `passing` ones fails.
    Fail {
        extent: Extent,
        passing: usize,
        fault: Fault,
    },
    /// Somebody else edits the table, and may do so unnoticed until the next commit.
    Drift {
        edits: Vec<Edit>,
        is_noticed: bool,
    },
    Restart,
    /// The configuration changes while the proxier runs.
    Reconfigure(Value),
    /// The proxier starts anew, with counters if it had none, without if it had.
    Recount,
    /// The kernel refuses Services, and the commit after the first few goes wrong.
    Refuse {
        services: Vec<u8>,
        is_named: bool,
        full: bool,
        fault: Option<(usize, Fault)>,
    },
}

fn extent() -> impl Strategy<Value = Extent> {
    prop_oneof![2 => Just(Extent::Changes), 1 => Just(Extent::All)]
}

fn step() -> impl Strategy<Value = Step> {
    let fault = select(vec![
        Fault::Refused,
        Fault::Stale,
        Fault::Unsent,
        Fault::Unanswered,
    ]);
    let services = proptest::sample::subsequence(vec![0u8, 1, 2], 1..=3);
    let faults = proptest::option::of((0..4usize, fault.clone()));
    let refuse = (services, any::<bool>(), any::<bool>(), faults);
    prop_oneof![
        16 => object().prop_map(Step::Set),
        4 => identity().prop_map(Step::Delete),
        6 => extent().prop_map(Step::Sync),
        1 => (extent(), universe::objects(1..3))
            .prop_map(|(extent, objects)| Step::SyncLate(extent, objects)),
        2 => (extent(), 0..2usize, fault)
            .prop_map(|(extent, passing, fault)| Step::Fail { extent, passing, fault }),
        1 => (proptest::collection::vec(edit(), 1..4), any::<bool>())
            .prop_map(|(edits, is_noticed)| Step::Drift { edits, is_noticed }),
        1 => Just(Step::Restart),
        1 => Just(Step::Recount),
        1 => config().prop_map(Step::Reconfigure),
        3 => refuse.prop_map(|(services, is_named, full, fault)| {
            Step::Refuse { services, is_named, full, fault }
        }),
    ]
}

fn history() -> impl Strategy<Value = (Value, Vec<Step>)> {
    (config(), proptest::collection::vec(step(), 1..40))
}

fn take<K: Kernel>(harness: &mut Harness<K>, step: &Step) {
    match step {
        Step::Set(object) => harness.set(object),
        Step::Delete(identity) => harness.delete(*identity),
        Step::Sync(extent) => harness.sync(*extent),
        Step::SyncLate(extent, objects) => {
            let plan = harness.plan(*extent);
            for object in objects {
                harness.set(object);
            }
            // Asking what is left out brings what is desired up to date.
            harness.proxier.rejections();
            harness.proxier.apply(&plan).unwrap();
            harness.sync(Extent::Changes);
        }
        Step::Fail {
            extent,
            passing,
            fault,
        } => fail(harness, *extent, *passing, *fault),
        Step::Drift { edits, is_noticed } => drift(harness, edits, *is_noticed),
        Step::Restart => restart(harness),
        Step::Reconfigure(config) => harness.reconfigure(config),
        Step::Recount => {
            harness.sync(Extent::All);
            harness.toggle_counters();
            harness.sync(Extent::Changes);
        }
        Step::Refuse {
            services,
            is_named,
            full,
            fault,
        } => refuse(harness, services, *is_named, *full, *fault),
    }
}

/// The kernel refuses some Services, and a commit goes wrong besides. Nothing is lost: once it
/// takes them again, all is as it is to be.
fn refuse<K: Kernel>(
    harness: &mut Harness<K>,
    services: &[u8],
    is_named: bool,
    full: bool,
    fault: Option<(usize, Fault)>,
) {
    let owners: Vec<String> = services
        .iter()
        .map(|index| format!("{}:", format_args!("default/s{index}")))
        .collect();
    let owners: Vec<&str> = owners.iter().map(String::as_str).collect();
    harness.kernel.poison(&owners, is_named);
    if let Some((passing, fault)) = fault {
        harness.kernel.fail(passing, fault);
    }
    let outcome = harness.proxier.sync(full);
    harness.kernel.heal();
    if let Ok(report) = outcome {
        for failure in &report.failures {
            assert!(
                owners.contains(&&*format!("{}:", failure.name)),
                "{failure:?}"
            );
        }
        assert!(!harness.proxier.has_changes());
        harness.observed();
    }
    harness.kernel.poison(&[], is_named);
    harness.proxier.retry();
    let report = harness.proxier.sync(false).unwrap();
    assert_eq!(report.failures, []);
    harness.check(Extent::Changes);
}

/// A commit fails; the next one makes up for it.
fn fail<K: Kernel>(harness: &mut Harness<K>, extent: Extent, passing: usize, fault: Fault) {
    let before = tables(harness.kernel.read());
    harness.kernel.fail(passing, fault);
    let outcome = harness.try_sync(extent);
    let has_failed = harness.kernel.heal();
    assert_eq!(outcome.is_err(), has_failed, "{outcome:?}");
    if has_failed && passing == 0 && fault != Fault::Unanswered {
        assert_eq!(tables(harness.kernel.read()), before);
    }
    harness.sync(Extent::Changes);
    if has_failed && passing == 1 {
        // It was the pruning that failed.
        harness.check(Extent::All);
    }
}

/// Somebody else edits the table. What the proxier writes without knowing is refused; once it
/// looks, one plan repairs all.
fn drift<K: Kernel>(harness: &mut Harness<K>, edits: &[Edit], is_noticed: bool) {
    for edit in edits {
        let ruleset = harness.kernel.read();
        if let Some(transaction) = edit.transaction(&ruleset) {
            harness.kernel.interfere(&transaction);
        }
    }
    if !is_noticed {
        let before = tables(harness.kernel.read());
        if harness.try_sync(Extent::Changes).is_err() {
            assert_eq!(tables(harness.kernel.read()), before);
        }
    }
    harness.sync(Extent::All);
}

/// A proxier that starts anew finds nothing to do, and leaves alone what it cannot judge.
fn restart<K: Kernel>(harness: &mut Harness<K>) {
    harness.sync(Extent::All);
    let survives = harness.model.survives_restart();
    harness.restart();
    if survives {
        let plan = harness.plan(Extent::Changes);
        // Elements of shared sets do not say whose they are: those of a held Service stay only if
        // its frontends speak for them.
        let is_loose = |change: &MemberChange| harness.model.has_held() && !change.present;
        let loose = plan.members.iter().filter(|change| is_loose(change));
        assert_eq!(plan.len(), loose.count(), "a restart plans {plan:#?}");
    }
    harness.sync(Extent::Changes);
}

fn converge<K: Kernel>(kernel: K, config: &Value, steps: &[Step]) {
    let mut harness = Harness::new(kernel, config);
    for step in steps {
        take(&mut harness, step);
    }
    harness.sync(Extent::Changes);
    harness.sync(Extent::All);
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    })
}

#[test]
fn a_node_that_is_gone_before_it_was_planned_for_leaves_nothing_behind() {
    let config = json!({
        "node_name": NODE, "detect_local_mode": "ClusterCIDR", "cluster_cidrs": ["10.244.0.0/16"],
        "nodeport_addresses": ["primary"],
    });
    let node = Object {
        identity: Identity::Node,
        worth: Worth::Good,
        json: json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE},
            "status": {"addresses": [{"type": "InternalIP", "address": NODE_ADDRESSES[0]}]},
        }),
    };
    let steps = [
        Step::Set(node),
        Step::Reconfigure(config.clone()),
        Step::Delete(Identity::Node),
    ];
    converge(FakeRuleset::new(), &config, &steps);
}

#[test]
fn the_fake_kernel_converges() {
    let outcome = runner(256).run(&history(), |(config, steps)| {
        converge(FakeRuleset::new(), &config, &steps);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn the_real_kernel_converges() {
    let outcome = runner(16).run(&history(), |(config, steps)| {
        in_namespace(move |client| {
            converge(client, &config, &steps);
            nft(&["list", "ruleset"], "");
        });
        Ok(())
    });
    outcome.unwrap();
}
