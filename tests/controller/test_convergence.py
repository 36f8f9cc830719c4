"""Whatever comes in whatever order, late, or not at all: what is published in the end is right."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lagging import MAX_ENDPOINTS, WATCHED, Rig
from endpointslices.cluster import Placed, placed
from kpx.controller.upkeep import SyncFailed
from kpx.endpointslices import EndpointSlice
from kpx.kube.resources import ENDPOINT_SLICES, ENDPOINTS, NODES, PODS, SERVICES
from objects import node, pod, service

Object = dict[str, Any]
Step = tuple[str, Any, Any]

PORTS = ({"port": 80, "targetPort": "http"},)
SERVICE_VARIANTS: tuple[Object, ...] = (
    {},
    {"ipFamilies": ["IPv4", "IPv6"]},
    {"publishNotReadyAddresses": True},
    {"trafficDistribution": "PreferSameZone"},
    {"type": "ExternalName"},
    {"selector": None},
    {"selector": {"app": "web", "tier": "front"}},
)


def a_service(variant: int) -> Object:
    return service(**{"ports": list(PORTS), **SERVICE_VARIANTS[variant]})


def a_pod(number: int, variant: int) -> Object:
    """One of 24 states of a Pod: its ports, readiness, labels and Node."""
    port, ready, tier = (8080, 9090)[variant % 2], variant // 2 % 2, variant // 4 % 3
    labels = {"app": ("web", "web", "other")[tier], "tier": ("front", "back", "back")[tier]}
    containers = [{"ports": [{"name": "http", "containerPort": port}]}]
    return pod(
        f"p{number}",
        f"10.0.0.{number}",
        f"fd00::{number}",
        node_name=f"node-{number % 2}",
        ready=bool(ready),
        metadata={"labels": labels},
        spec={"containers": containers},
        status={"phase": "Failed" if variant // 12 else "Running"},
    )


numbers = st.integers(1, 5)
changes = st.one_of(
    st.tuples(st.just("pod"), numbers, st.integers(0, 23)),
    st.tuples(st.just("pod"), numbers, st.integers(0, 3)),
    st.tuples(st.just("no pod"), numbers, st.just(0)),
    st.tuples(st.just("service"), st.integers(0, len(SERVICE_VARIANTS) - 1), st.just(0)),
    st.tuples(st.just("node"), st.integers(0, 1), st.integers(0, 2)),
)
watched = st.sampled_from([one.name for one in WATCHED])
progress = st.one_of(
    st.tuples(st.just("deliver"), watched, st.integers(1, 3)),
    st.tuples(st.just("work"), st.just(0), st.sampled_from([0.0, 1.5, 2000.0])),
)
kills = st.tuples(st.just("kill"), st.integers(0, 2), st.booleans())
edits = st.tuples(
    st.sampled_from(["edit", "edit labels", "delete slice"]), st.integers(0, 5), st.just(0)
)


def change(rig: Rig, what: str, which: Any, how: Any) -> None:
    """Does one step of a history."""
    store = rig.store
    slices = list(store.objects[ENDPOINT_SLICES.name].values())
    match what:
        case "pod":
            store.put(PODS, a_pod(which, how))
        case "no pod":
            store.remove(PODS, "default", f"p{which}")
        case "service":
            store.put(SERVICES, a_service(which))
        case "node":
            store.put(NODES, node(f"node-{which}", (None, "a", "b")[how]))
        case "deliver":
            rig.deliver(which, how)
        case "work":
            rig.now += how
            rig.work()
        case "kill":
            store.kill_at, store.kill_after = which, how
        case "edit" if slices:
            one = slices[which % len(slices)]
            store.put(ENDPOINT_SLICES, {**one, "endpoints": one["endpoints"][1:]})
        case "edit labels" if slices:
            one = slices[which % len(slices)]
            labels = {**one["metadata"]["labels"], "mine": "x"}
            metadata = {**one["metadata"], "labels": labels}
            store.put(ENDPOINT_SLICES, {**one, "metadata": metadata})
        case "delete slice" if slices:
            store.remove(
                ENDPOINT_SLICES, "default", slices[which % len(slices)]["metadata"]["name"]
            )


def begun(**options: bool) -> Rig:
    rig = Rig(**options)
    for number in range(2):
        rig.store.put(NODES, node(f"node-{number}", "a"))
    rig.store.put(SERVICES, a_service(0))
    rig.settle()
    return rig


def contents(slices: Any) -> list[Any]:
    """What clients learn: every endpoint with its ports and what it says, and every label."""
    return sorted(
        (
            (one.address_type, one.ports, sorted(one.labels.items()), endpoint)
            for one in slices
            for endpoint in one.endpoints
        ),
        key=repr,
    )


def check(rig: Rig) -> None:
    rig.settle()
    found = rig.slices()
    assert contents(found) == contents(rig.fresh())
    twice = [one for one, count in Counter(placed(found)).items() if count > 1]
    assert twice == []
    assert all(len(one.endpoints) <= MAX_ENDPOINTS for one in found)


def rounds(*steps: st.SearchStrategy[Step]) -> st.SearchStrategy[list[list[Step]]]:
    """Histories in several parts, after each of which all that happened is shown."""
    return st.lists(st.lists(st.one_of(*steps), max_size=15), max_size=5)


@settings(max_examples=100, deadline=None)
@given(rounds(changes, progress))
def test_late_caches_lose_and_double_nothing(history: list[list[Step]]) -> None:
    rig = begun()
    for steps in history:
        for step in steps:
            change(rig, *step)
        check(rig)


@settings(max_examples=100, deadline=None)
@given(rounds(changes, progress, kills, edits))
def test_kills_conflicts_and_edits_lose_and_double_nothing(history: list[list[Step]]) -> None:
    rig = begun()
    for steps in history:
        for step in steps:
            change(rig, *step)
        check(rig)


@settings(max_examples=60, deadline=None)
@given(st.lists(changes, max_size=12), st.randoms(use_true_random=False))
def test_the_same_events_in_any_order_end_in_the_same_endpoints(
    history: list[Step], chance: Any
) -> None:
    """Of one object, events keep their order; those of different objects do not."""
    by_object: dict[Any, list[Step]] = {}
    for step in history:
        what, which, _ = step
        key = ("service", 0) if what == "service" else (what.removeprefix("no "), which)
        by_object.setdefault(key, []).append(step)

    def played() -> list[Any]:
        left = {key: list(steps) for key, steps in by_object.items()}
        rig = begun()
        while left:
            key = chance.choice(sorted(left, key=repr))
            change(rig, *left[key].pop(0))
            if not left[key]:
                del left[key]
            for resource in WATCHED:
                rig.deliver(resource.name, chance.randrange(4))
            if chance.random() < 0.4:
                rig.work()
        rig.settle()
        return contents(rig.slices())

    assert played() == played()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(changes, progress, kills), max_size=40))
def test_p9_no_endpoint_that_stays_is_in_no_slice_between_two_writes(
    steps: list[Step],
) -> None:
    rig = begun()
    published: list[set[Placed]] = [set()]

    def look() -> None:
        now = set(placed(rig.slices()))
        state = rig.controller.state
        web = state.services.objects.get(("default", "web"))
        pods = [] if web is None or web.type == "ExternalName" else state.pods_of(web)
        wanted = {
            (family, tuple(one.addresses(family)), one.name)
            for one in pods
            for family in (web.ip_families if web else ())
            if not one.is_terminal
        }
        # What the controller knew to be wanted, and was there before this write, is there after it.
        assert published[0] & wanted <= now
        published[0] = now

    rig.store.wrote = look
    for step in steps:
        change(rig, *step)
    rig.settle()


@pytest.mark.parametrize("is_done", [False, True])
def test_a_kill_in_the_middle_of_a_move_loses_and_doubles_nothing(is_done: bool) -> None:
    """Two Pods change the port they have, so that slices exchange endpoints."""
    for at in range(4):
        rig = begun()
        for number in range(1, 5):
            rig.store.put(PODS, a_pod(number, 2 + number % 2))
        rig.settle()
        assert len(placed(rig.slices())) == 4
        for number in range(1, 3):
            rig.store.put(PODS, a_pod(number, 3 - number % 2))
        for resource in WATCHED:
            rig.deliver(resource.name, 100)
        rig.store.kill_at, rig.store.kill_after = at, is_done
        killed = rig.controller
        rig.now += 2000
        rig.work()
        assert (rig.controller is not killed) == (at < 3), "each write was once the last"
        check(rig)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(changes, progress, kills), max_size=40))
def test_endpoints_end_as_a_fresh_start_makes_them(steps: list[Step]) -> None:
    rig = begun(with_endpoints=True)
    for step in steps:
        change(rig, *step)
    rig.settle()
    made = [one.get("subsets") for one in rig.store.objects[ENDPOINTS.name].values()]
    rig.store.objects[ENDPOINTS.name].clear()
    rig.start()
    rig.settle()
    again = [one.get("subsets") for one in rig.store.objects[ENDPOINTS.name].values()]
    assert made == again


def test_l13_no_write_begins_once_another_leads() -> None:
    rig = begun(with_endpoints=True)
    rig.store.put(PODS, a_pod(1, 2))
    rig.store.put(PODS, a_pod(2, 3))
    rig.store.put(SERVICES, service("db", selector=None))
    subsets = [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]
    rig.store.put(
        ENDPOINTS, {"metadata": {"namespace": "default", "name": "db"}, "subsets": subsets}
    )
    for resource in WATCHED:
        rig.deliver(resource.name, 100)
    before = rig.store.writes
    lost = False

    def lose() -> None:
        nonlocal lost
        lost = True

    # The first write of two slices is the last of this term.
    rig.store.wrote = lose
    with pytest.raises(SyncFailed, match="another leads"):
        rig.controller.pod_slices.sync(rig.store, ("default", "web"), lambda: lost)
    assert rig.store.writes == before + 1
    for upkeep in rig.controller.upkeeps:
        name = "db" if upkeep is rig.controller.mirrored_slices else "web"
        with pytest.raises(SyncFailed):
            upkeep.sync(rig.store, ("default", name), lambda: lost)
    assert rig.store.writes == before + 1


def test_the_slices_of_a_late_answer_are_not_made_twice() -> None:
    """A create is killed after it was done; the next controller finds what it made."""
    rig = begun()
    rig.store.put(PODS, a_pod(1, 2))
    rig.deliver(PODS.name, 1)
    rig.store.kill_at, rig.store.kill_after = 0, True
    rig.work()
    check(rig)
    [one] = [one for one in rig.slices() if one.endpoints]
    assert isinstance(one, EndpointSlice)
