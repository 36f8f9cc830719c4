//! Sets and their elements.

use super::*;

fn sets() -> Vec<Case> {
    let other_key = Set {
        key: vec![DataType::InetService],
        ..addresses()
    };
    let as_map = Set {
        kind: SetKind::VerdictMap,
        ..addresses()
    };
    let as_intervals = Set {
        flags: ranges().flags,
        ..addresses()
    };
    let of_two = || Set {
        size: Some(2),
        name: "of-two".into(),
        ..addresses()
    };
    vec![
        accepted(
            "give a set a size",
            [add(Set {
                size: Some(9),
                ..addresses()
            })],
        ),
        accepted(
            "change the timeout of a set",
            [add(Set {
                timeout: Some(Duration::from_secs(60)),
                ..leases()
            })],
        ),
        refused("change the key of a set", Exists, [add(other_key)]),
        refused("make a map of a set", Exists, [add(as_map)]),
        refused("make intervals of a set", Exists, [add(as_intervals)]),
        accepted("delete a set with its elements", [delete(translations())]),
        refused("delete a missing set", NotFound, [delete(of_two())]),
        refused("delete a set that a rule uses", Busy, [delete(addresses())]),
        refused("delete a map that a rule uses", Busy, [delete(verdicts())]),
        accepted(
            "flush the rule, then delete the set",
            [flush(input()), delete(addresses())],
        ),
        accepted("flush a set", [flush(addresses())]),
        refused("flush a missing set", NotFound, [flush(of_two())]),
        accepted(
            "replace a map",
            [
                flush(prerouting()),
                delete(verdicts()),
                add(verdicts()),
                add(by_verdicts("free")),
            ],
        ),
        accepted(
            "fill a set",
            [
                add(of_two()),
                add(elements(&of_two(), [host(1), host(2)])),
                delete(elements(&of_two(), [host(1)])),
                add(elements(&of_two(), [host(3)])),
            ],
        ),
        refused(
            "add more than a set holds",
            Full,
            [
                add(of_two()),
                add(elements(&of_two(), [host(1), host(2), host(3)])),
            ],
        ),
    ]
}

fn set_elements() -> Vec<Case> {
    let verdict = |last, verdict| elements(&verdicts(), [decided(last, verdict)]);
    let translation = |last, to| elements(&translations(), [translated(last, to)]);
    let commented = Element {
        comment: Some("another".into()),
        ..host(1)
    };
    let missing = Set {
        name: "missing".into(),
        ..addresses()
    };
    vec![
        accepted(
            "add an element with a comment",
            [add(elements(&addresses(), [commented]))],
        ),
        accepted("add the same value", [add(translation(1, 1))]),
        refused("add another value", Exists, [add(translation(1, 2))]),
        accepted(
            "replace a value",
            [delete(translation(1, 1)), add(translation(1, 2))],
        ),
        refused("add another chain", Exists, [add(verdict(1, to("free")))]),
        refused(
            "add another way to the chain",
            Exists,
            [add(verdict(1, Verdict::Jump("called".into())))],
        ),
        refused(
            "add another verdict",
            Exists,
            [add(verdict(1, Verdict::Drop))],
        ),
        accepted(
            "replace a verdict",
            [
                delete(verdict(1, to("called"))),
                add(verdict(1, to("free"))),
            ],
        ),
        refused(
            "lead to a missing chain",
            NotFound,
            [add(verdict(2, to("missing")))],
        ),
        refused(
            "lead to a base chain",
            Unsupported,
            [add(verdict(2, to("filter-input")))],
        ),
        refused(
            "add to a missing set",
            NotFound,
            [add(elements(&missing, [host(1)]))],
        ),
        refused(
            "delete a missing element",
            NotFound,
            [delete(elements(&addresses(), [host(2)]))],
        ),
        refused(
            "delete an element twice",
            NotFound,
            [delete(elements(&addresses(), [host(1), host(1)]))],
        ),
        refused(
            "do all or nothing",
            Exists,
            [
                add(verdict(3, Verdict::Drop)),
                delete(verdict(1, to("called"))),
                add(translation(1, 2)),
            ],
        ),
        refused(
            "add a timeout to a set without",
            Invalid,
            [add(elements(&addresses(), [with_timeout(host(2), 60)]))],
        ),
        accepted(
            "restart a timeout",
            [add(elements(&leases(), [with_timeout(host(1), 900)]))],
        ),
        accepted(
            "go back to the set's timeout",
            [add(elements(&leases(), [host(2)]))],
        ),
    ]
}

fn intervals_of_keys() -> Vec<Case> {
    let of_ranges = |first, second| elements(&ranges(), [range(first, second)]);
    let of_intervals = |first, last| elements(&intervals(), [interval(first, last)]);
    vec![
        accepted("add the same ranges", [add(of_ranges([8, 15], [0, 31]))]),
        accepted("add ranges beside", [add(of_ranges([8, 15], [32, 63]))]),
        refused(
            "add ranges within",
            Exists,
            [add(of_ranges([8, 11], [0, 31]))],
        ),
        refused(
            "add one address within",
            Exists,
            [add(of_ranges([9, 9], [3, 3]))],
        ),
        accepted("delete ranges", [delete(of_ranges([8, 15], [0, 31]))]),
        accepted(
            "delete by a key within",
            [delete(of_ranges([9, 9], [3, 3]))],
        ),
        refused(
            "delete by a key beside",
            NotFound,
            [delete(of_ranges([9, 9], [32, 32]))],
        ),
        accepted("add the same interval", [add(of_intervals(8, 15))]),
        accepted("add an interval beside", [add(of_intervals(32, 63))]),
        accepted("delete an interval", [delete(of_intervals(8, 15))]),
        refused(
            "delete a part of an interval",
            NotFound,
            [delete(of_intervals(8, 11))],
        ),
    ]
}

#[test]
fn sets_are_handled_as_by_the_kernel() {
    check(sets());
}

#[test]
fn elements_are_handled_as_by_the_kernel() {
    check(set_elements());
}

#[test]
fn intervals_are_handled_as_by_the_kernel() {
    check(intervals_of_keys());
}

/// The kernel does not see that ranges enclose others, unless the others come second: the result
/// cannot be listed and loaded again.
#[test]
fn ranges_enclose_others_as_in_the_kernel() {
    let around = transaction([add(elements(&ranges(), [range([0, 31], [0, 63])]))]);
    let mut fake = FakeRuleset::new();
    fake.apply(&transaction(setup()))
        .expect("the setup is accepted");
    fake.apply(&around).expect("the kernel accepts it");
    let kernel = oracle::load(&format!("{}{around}", transaction(setup())));
    assert!(kernel.accepted, "{}", kernel.errors);
    assert!(!oracle::load(&fake.ruleset().to_string()).accepted);
}
