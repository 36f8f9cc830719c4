//! Tables and chains.

use super::*;

fn tables_and_chains() -> Vec<Case> {
    let other_hook = base_chain(V4, "nat-prerouting", ChainKind::Nat, Hook::Output, -100);
    let other_priority = base_chain(V4, "nat-prerouting", ChainKind::Nat, Hook::Prerouting, -90);
    let early = base_chain(V4, "early", ChainKind::Nat, Hook::Prerouting, -300);
    let forward = base_chain(V4, "forward", ChainKind::Nat, Hook::Forward, 0);
    let hooked = base_chain(V4, "free", ChainKind::Filter, Hook::Input, 0);
    let elsewhere = chain(Family::Ipv6, "elsewhere");
    vec![
        accepted("add what is there", setup().into_iter().take(18)),
        accepted(
            "name a base chain without its hook",
            [add(named("nat-prerouting"))],
        ),
        refused(
            "move a base chain to another hook",
            Unsupported,
            [add(other_hook)],
        ),
        refused(
            "change the priority of a base chain",
            Unsupported,
            [add(other_priority)],
        ),
        refused("give a chain a hook", Unsupported, [add(hooked)]),
        refused(
            "translate before connection tracking",
            Unsupported,
            [add(early)],
        ),
        refused(
            "translate where packets are forwarded",
            Unsupported,
            [add(forward)],
        ),
        refused("add a chain to a missing table", NotFound, [add(elsewhere)]),
        accepted(
            "delete a table with all it owns",
            [delete(Object::Table(table(V4)))],
        ),
        refused(
            "delete a missing table",
            NotFound,
            [delete(Object::Table(table(Family::Ipv6)))],
        ),
        accepted(
            "delete a table and begin anew",
            [
                delete(Object::Table(table(V4))),
                add(Object::Table(table(V4))),
                add(named("fresh")),
            ],
        ),
        refused(
            "use a table after it was deleted",
            NotFound,
            [delete(Object::Table(table(V4))), add(named("fresh"))],
        ),
    ]
}

fn deletions_of_chains() -> Vec<Case> {
    let to_called = || rule(V4, "free", [jump("called")]);
    let unmap = || delete(elements(&verdicts(), [decided(1, to("called"))]));
    vec![
        accepted("delete a chain", [delete(named("free"))]),
        accepted("delete a base chain with its rules", [delete(prerouting())]),
        refused(
            "delete a missing chain",
            NotFound,
            [delete(named("missing"))],
        ),
        refused(
            "delete a chain that an element leads to",
            Busy,
            [delete(named("called"))],
        ),
        accepted(
            "delete the element, then the chain",
            [unmap(), delete(named("called"))],
        ),
        refused(
            "delete the chain, then the element",
            Busy,
            [delete(named("called")), unmap()],
        ),
        accepted(
            "flush the map, then delete the chain",
            [flush(verdicts()), delete(named("called"))],
        ),
        accepted(
            "flush the rule, delete the map, then the chain",
            [
                flush(prerouting()),
                delete(verdicts()),
                delete(named("called")),
            ],
        ),
        refused(
            "delete a chain that a rule leads to",
            Busy,
            [unmap(), add(to_called()), delete(named("called"))],
        ),
        accepted(
            "flush the rule, then delete the chain",
            [
                unmap(),
                add(to_called()),
                flush(named("free")),
                delete(named("called")),
            ],
        ),
        accepted(
            "delete the rule's chain, then the chain it leads to",
            [
                unmap(),
                add(to_called()),
                delete(named("free")),
                delete(named("called")),
            ],
        ),
        refused("flush a missing chain", NotFound, [flush(named("missing"))]),
        accepted("flush an empty chain", [flush(named("free"))]),
    ]
}

#[test]
fn tables_and_chains_are_handled_as_by_the_kernel() {
    check(tables_and_chains());
}

#[test]
fn chains_are_deleted_as_by_the_kernel() {
    check(deletions_of_chains());
}
