//! Every kind of edit that somebody else may do is repaired at once.

use kpx_nftables::fake::FakeRuleset;
use kpx_nftables::{Element, Elements, Object, Transaction, Verb};
use kpx_proxy::names;
use proptest::strategy::{Just, Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use crate::edit::{EditKind, edit_of};
use crate::harness::{Content, Extent, Harness, tables};
use crate::universe::{self, Identity, Worth};
use crate::{manifest, packets};

/// A proxier whose tables hold something in every set.
fn populated() -> Harness<FakeRuleset> {
    let mut harness = Harness::new(FakeRuleset::new(), &manifest::config());
    for (index, json) in (0..).zip(packets::world()) {
        // Nothing here depends on which object it is.
        let identity = Identity::Slice(index);
        let worth = Worth::Good;
        harness.set(&universe::Object {
            identity,
            worth,
            json,
        });
    }
    harness.sync(Extent::All);
    for table in harness.kernel.read().tables.values() {
        for set in table.sets.values() {
            // Only packets fill a dynamic set, and only IPVS needs addresses of its own.
            let is_left_out = set.set.flags.dynamic || set.set.name == names::set::VIRTUAL_IPS;
            let is_filled = is_left_out || !set.elements.is_empty();
            assert!(is_filled, "{} is empty", set.set.name);
        }
    }
    harness
}

#[test]
fn every_kind_of_edit_is_repaired_at_once() {
    let mut runner = TestRunner::deterministic();
    let mut harness = populated();
    let content = Content::of(&harness.observed());
    for kind in EditKind::ALL {
        let mut taken = 0;
        // The kernel refuses some edits, such as to delete a chain that is in use.
        for _ in 0..60 {
            if taken == 3 {
                break;
            }
            let edit = edit_of(Just(kind)).new_tree(&mut runner).unwrap().current();
            let transaction = edit.transaction(&harness.kernel.read()).unwrap();
            if harness.kernel.interfere(&transaction) {
                taken += 1;
                harness.try_sync(Extent::All).unwrap();
                assert_eq!(Content::of(&harness.observed()), content, "{edit:?}");
            }
            let plan = harness.plan(Extent::All);
            assert!(plan.is_empty(), "after {edit:?}: {plan:#?}");
        }
        assert_eq!(taken, 3, "{kind:?}: the kernel took too few");
    }
}

#[test]
fn what_is_foreign_by_name_goes_without_the_rest() {
    let mut runner = TestRunner::deterministic();
    let mut harness = populated();
    for kind in [EditKind::AddChain, EditKind::AddBaseChain, EditKind::AddSet] {
        let edit = edit_of(Just(kind)).new_tree(&mut runner).unwrap().current();
        let transaction = edit.transaction(&harness.kernel.read()).unwrap();
        assert!(harness.kernel.interfere(&transaction));
        let plan = harness.plan(Extent::All);
        assert_eq!((plan.len(), plan.prune.len()), (1, 1), "{plan:#?}");
        harness.proxier.apply(&plan).unwrap();
    }
}

/// An element of somebody else may name a slot far away, for a frontend that nobody has.
#[test]
fn a_far_slot_of_an_unknown_frontend_is_all_that_goes() {
    let mut harness = populated();
    let ruleset = harness.kernel.read();
    let endpoints = ruleset.tables.values().next().unwrap().sets["endpoints"].clone();
    let known = endpoints.elements.values().next().unwrap();
    let mut element = Element::clone(known);
    // The address is followed by the protocol, the port and the slot.
    element.key[..4].copy_from_slice(&[192, 0, 2, 77]);
    element.key[12..].copy_from_slice(&1_000_000_u32.to_ne_bytes());
    let elements = Elements {
        set: endpoints.set,
        elements: vec![element],
    };
    let mut transaction = Transaction::new();
    transaction
        .push(Verb::Add, Object::Elements(elements))
        .unwrap();
    assert!(harness.kernel.interfere(&transaction));
    let plan = harness.plan(Extent::All);
    assert_eq!((plan.len(), plan.strays.len()), (1, 1), "{plan:#?}");
    harness.proxier.apply(&plan).unwrap();
    assert_eq!(tables(harness.kernel.read()), tables(ruleset));
}
