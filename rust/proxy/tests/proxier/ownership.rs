//! Whose a frontend is: conflicts, names too long for a comment, and Services that are not valid.

use kpx_nftables::comment;
use kpx_nftables::fake::FakeRuleset;
use kpx_proxy::Proxier;
use kpx_proxy::layout::SetTable;
use kpx_proxy::programmed::Programmed;
use serde_json::{Value, json};

use crate::dataplane::SharedKernel;
use crate::manifest::{self, deleted, modified, proxier, service};

type Fake = Proxier<SharedKernel<FakeRuleset>>;

/// A Service that claims an address others claim too.
fn claimant(name: &str, created: &str) -> Value {
    let last = name.len();
    let spec = json!({
        "clusterIPs": [format!("10.96.0.{last}")], "externalIPs": ["203.0.113.1"],
        "ports": [{"port": 80}],
    });
    let mut service = service(name, &spec, &[]);
    if !created.is_empty() {
        service["metadata"]["creationTimestamp"] = created.into();
    }
    service
}

fn invalid(mut service: Value) -> Value {
    service["spec"]["ports"][0]["port"] = 0.into();
    service
}

fn sync(proxier: &mut Fake) {
    let plan = proxier.plan().unwrap();
    proxier.apply(&plan).unwrap();
}

/// Who has the address, as the kernel tells.
fn owner(proxier: &mut Fake) -> Option<String> {
    let observed = Programmed::adopt(proxier.dataplane().read(), &SetTable::default());
    let mut frontends = observed.frontends.iter();
    let found = frontends.find(|(key, _)| key.to_string() == "203.0.113.1:80/tcp");
    found.map(|(_, elements)| elements.service().to_owned())
}

#[test]
fn the_oldest_claimant_wins_in_whatever_order_they_come() {
    let claimants = [
        claimant("old", "2024-01-01T00:00:00Z"),
        claimant("newer", "2025-01-01T00:00:00Z"),
        claimant("ageless", ""),
    ];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut proxier = proxier(&manifest::config());
        for index in order {
            proxier.feed_event(&modified(&claimants[index])).unwrap();
            sync(&mut proxier);
        }
        assert_eq!(owner(&mut proxier).as_deref(), Some("default/old"));
        let losers: Vec<_> = proxier.rejections();
        let losers: Vec<_> = losers.iter().map(ToString::to_string).collect();
        let reason = "203.0.113.1:80/tcp belongs to the older Service `default/old`";
        assert_eq!(
            losers,
            ["ageless", "newer"].map(|loser| format!("Service default/{loser}: {reason}"))
        );
        for index in order.into_iter().rev() {
            proxier.feed_event(&modified(&claimants[index])).unwrap();
            assert!(proxier.plan().unwrap().is_empty());
        }
        for (gone, heir) in [(0, Some("newer")), (1, Some("ageless")), (2, None)] {
            proxier.feed_event(&deleted(&claimants[gone])).unwrap();
            sync(&mut proxier);
            let heir = heir.map(|heir| format!("default/{heir}"));
            assert_eq!(owner(&mut proxier), heir);
        }
        assert!(proxier.plan_all().unwrap().prune.is_empty());
    }
}

#[test]
fn names_too_long_for_a_comment_are_programmed_and_found_again() {
    let long = "n".repeat(63);
    let mut object = claimant(&long, "");
    object["metadata"]["namespace"] = long.clone().into();
    object["spec"]["ports"] = json!([
        {"name": "port-number-one", "port": 80}, {"name": "port-number-two", "port": 81},
    ]);
    let mut before = proxier(&manifest::config());
    before.feed_event(&modified(&object)).unwrap();
    sync(&mut before);
    let observed = Programmed::adopt(before.dataplane().read(), &SetTable::default());
    assert_eq!(before.programmed(), Some(&observed));
    assert_eq!(observed.frontends.len(), 4);
    for elements in observed.frontends.values() {
        assert_eq!(elements.owner.len(), comment::MAX_LENGTH);
        assert_eq!(elements.service(), format!("{long}/{long}"));
    }
    let mut after = restarted(&mut before);
    after.feed_event(&modified(&object)).unwrap();
    assert!(after.plan().unwrap().is_empty());
}

/// A proxier that is started anew on the kernel of another.
fn restarted(before: &mut Fake) -> Fake {
    let config = kpx_proxy::Config::from_json(&manifest::config().to_string()).unwrap();
    Proxier::new(config, before.dataplane().share())
}

#[test]
fn a_service_that_is_not_valid_after_a_restart_keeps_what_it_has_until_it_goes() {
    let [old, newer] = [
        claimant("old", "2024-01-01T00:00:00Z"),
        claimant("newer", ""),
    ];
    let mut before = proxier(&manifest::config());
    before.feed_event(&modified(&old)).unwrap();
    sync(&mut before);

    let mut after = restarted(&mut before);
    after.feed_event(&modified(&invalid(old.clone()))).unwrap();
    assert!(after.plan().unwrap().is_empty());
    // A younger Service does not get the address meanwhile, whether all is compared or not.
    sync(&mut after);
    after.feed_event(&modified(&newer)).unwrap();
    sync(&mut after);
    assert_eq!(owner(&mut after).as_deref(), Some("default/old"));
    assert!(after.plan_all().unwrap().is_empty());
    sync(&mut after);

    after.feed_event(&deleted(&old)).unwrap();
    sync(&mut after);
    assert_eq!(owner(&mut after).as_deref(), Some("default/newer"));
    assert!(after.plan_all().unwrap().is_empty());
}
