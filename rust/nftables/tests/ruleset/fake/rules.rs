//! Rules.

use super::*;

fn rules() -> Vec<Case> {
    let deep = |count: u32| {
        let name = |index: u32| format!("deep-{index}");
        let chains = (1..=count).map(move |index| add(named(&name(index))));
        let first = std::iter::once(add(rule(V4, "nat-prerouting", [jump(&name(1))])));
        let calls =
            (2..=count).map(move |index| add(rule(V4, &name(index - 1), [jump(&name(index))])));
        chains.chain(first).chain(calls)
    };
    let vmap = |set: &str| {
        let decide = lookup(set, LookupResult::Verdict);
        rule(
            V4,
            "nat-prerouting",
            [vec![destination_address(V4, 0), decide]],
        )
    };
    vec![
        accepted(
            "add the same rule twice",
            [add(by_verdicts("nat-prerouting"))],
        ),
        accepted(
            "look into a verdict map as a set",
            [add(from_set("free", "verdicts"))],
        ),
        refused(
            "add a rule to a missing chain",
            NotFound,
            [add(rule(V4, "missing", [counter()]))],
        ),
        refused(
            "jump to a missing chain",
            NotFound,
            [add(rule(V4, "free", [jump("missing")]))],
        ),
        refused(
            "look into a missing set",
            NotFound,
            [add(from_set("free", "missing"))],
        ),
        refused(
            "take verdicts from a set",
            Invalid,
            [add(vmap("addresses"))],
        ),
        refused(
            "take verdicts from a map of values",
            Invalid,
            [add(vmap("translations"))],
        ),
        refused(
            "jump to a base chain",
            Unsupported,
            [add(rule(V4, "free", [jump("filter-input")]))],
        ),
        accepted(
            "call itself where no hook leads",
            [add(rule(V4, "free", [jump("free")]))],
        ),
        refused(
            "call in a circle",
            TooManyLinks,
            [
                add(rule(V4, "called", [jump("free")])),
                add(rule(V4, "free", [goto("called")])),
            ],
        ),
        refused(
            "lead a map back to its own rule",
            TooManyLinks,
            [add(by_verdicts("called"))],
        ),
        accepted("call fifteen deep", deep(15)),
        refused("call sixteen deep", TooManyLinks, deep(16)),
    ]
}

fn rules_at_hooks() -> Vec<Case> {
    vec![
        accepted(
            "translate in prerouting",
            [add(translate("nat-prerouting"))],
        ),
        accepted("translate where no hook leads", [add(translate("free"))]),
        accepted("translate behind a map", [add(translate("called"))]),
        refused(
            "translate in a filter",
            Unsupported,
            [add(translate("filter-input"))],
        ),
        refused(
            "translate after routing",
            Unsupported,
            [add(translate("nat-postrouting"))],
        ),
        refused(
            "translate in a chain that a filter calls",
            Unsupported,
            [
                add(translate("free")),
                add(rule(V4, "filter-input", [jump("free")])),
            ],
        ),
        refused(
            "translate behind a map that a filter uses",
            Unsupported,
            [
                add(by_verdicts("filter-input")),
                add(translate("free")),
                add(elements(&verdicts(), [decided(2, to("free"))])),
            ],
        ),
        accepted(
            "masquerade after routing",
            [add(rule(V4, "nat-postrouting", [masquerade()]))],
        ),
        refused(
            "masquerade before routing",
            Unsupported,
            [add(rule(V4, "nat-prerouting", [masquerade()]))],
        ),
        accepted(
            "reject in prerouting",
            [add(rule(V4, "nat-prerouting", [reject(V4)]))],
        ),
        refused(
            "reject in postrouting",
            Unsupported,
            [add(rule(V4, "nat-postrouting", [reject(V4)]))],
        ),
        accepted(
            "compare an address",
            [add(rule(
                V4,
                "free",
                [vec![source_address(V4, 0), not_equal(&[10, 0, 0, 1])]],
            ))],
        ),
    ]
}

#[test]
fn rules_are_handled_as_by_the_kernel() {
    check(rules());
}

#[test]
fn rules_stand_where_the_kernel_lets_them() {
    check(rules_at_hooks());
}
