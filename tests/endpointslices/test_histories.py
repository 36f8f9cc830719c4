"""Properties of the reconciler over random histories of a Service and its Pods."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from endpointslices.cluster import Cluster, Placed, placed, service_with_uid
from kpx.endpointslices import named
from objects import node, pod

Object = dict[str, Any]

NODES = [node("a", "zone-a"), node("b", None)]
ZONES = ("zone-a", "zone-b", "zone-c")
MAX_ENDPOINTS = 3
ADDRESSES = {"v4": "10.0.0.{}", "v6": "fd00::{}"}

# The ports and the family are what endpoints move between slices for.
one_pod = st.fixed_dictionaries(
    {
        "port": st.sampled_from([8080, 9090]),
        "families": st.sampled_from([("v4",), ("v4", "v6")]),
        "ready": st.booleans(),
        "phase": st.sampled_from(["Running", "Running", "Failed"]),
        "node": st.sampled_from(["a", "b", "unknown"]),
    }
)
state = st.dictionaries(st.integers(0, 11), one_pod, max_size=12)
one_service = st.fixed_dictionaries(
    {
        "ipFamilies": st.sampled_from([["IPv4"], ["IPv4", "IPv6"]]),
        "trafficDistribution": st.sampled_from([None, "PreferSameNode"]),
        "publishNotReadyAddresses": st.booleans(),
        "type": st.sampled_from(["ClusterIP"] * 5 + ["ExternalName"]),
    }
)
history = st.lists(st.tuples(one_service, state), min_size=1, max_size=6)


def objects(pods: dict[int, Object]) -> list[Object]:
    return [
        pod(
            f"p{number}",
            *[
                {"v4": f"10.0.0.{number}", "v6": f"fd00::{number}"}[name]
                for name in one["families"]
            ],
            node_name=one["node"],
            ready=one["ready"],
            status={"phase": one["phase"]},
            spec={
                "containers": [
                    {"ports": [{"name": "http", "containerPort": one["port"], "protocol": "TCP"}]}
                ]
            },
        )
        for number, one in pods.items()
    ]


def reconcile(cluster: Cluster, spec: Object, pods: dict[int, Object]) -> Any:
    web = service_with_uid(ports=[{"port": 80, "targetPort": "http"}], **spec)
    return cluster.reconcile(web, objects(pods), NODES, max_endpoints_per_slice=MAX_ENDPOINTS)


def contents(cluster: Cluster) -> list[Any]:
    """What clients learn: every endpoint with its ports, wherever it is."""
    found = [
        (one.address_type, one.ports, endpoint)
        for one in cluster.slices.values()
        for endpoint in one.endpoints
    ]
    return sorted(found, key=repr)


@given(history)
def test_whatever_came_before_the_endpoints_are_those_of_a_fresh_start(
    history: list[tuple[Object, dict[int, Object]]],
) -> None:
    cluster = Cluster()
    for spec, pods in history:
        reconcile(cluster, spec, pods)
    fresh = Cluster()
    reconcile(fresh, *history[-1])
    assert contents(cluster) == contents(fresh)


@given(history)
def test_a_reconcile_of_its_own_output_writes_nothing(
    history: list[tuple[Object, dict[int, Object]]],
) -> None:
    cluster = Cluster()
    for spec, pods in history:
        reconcile(cluster, spec, pods)
        assert len(reconcile(cluster, spec, pods).plan) == 0


@given(history)
def test_p9_no_endpoint_is_ever_in_no_slice_between_two_writes(
    history: list[tuple[Object, dict[int, Object]]],
) -> None:
    cluster = Cluster()
    for spec, pods in history:
        before: set[Placed] = set(placed(cluster.slices.values()))
        cluster.snapshots.clear()
        reconcile(cluster, spec, pods)
        settled = placed(cluster.slices.values())
        assert len(settled) == len(set(settled)), "an endpoint is in two slices"
        for snapshot in cluster.snapshots:
            assert before & set(settled) <= set(snapshot)


@given(history)
def test_no_slice_is_filled_beyond_the_limit_and_every_family_has_one(
    history: list[tuple[Object, dict[int, Object]]],
) -> None:
    cluster = Cluster()
    for spec, pods in history:
        reconcile(cluster, spec, pods)
        assert all(size <= MAX_ENDPOINTS for size in cluster.sizes())
        families = {one.address_type for one in cluster.slices.values()}
        expected = [] if spec["type"] == "ExternalName" else spec["ipFamilies"]
        assert families == set(expected)


@given(history)
def test_h7_an_endpoint_has_at_most_one_hint_of_each_kind(
    history: list[tuple[Object, dict[int, Object]]],
) -> None:
    cluster = Cluster()
    for spec, pods in history:
        reconcile(cluster, spec, pods)
        assert all(len(one) <= 1 for endpoint in cluster.endpoints() for one in endpoint.hints)


@given(state)
def test_names_are_the_same_each_time_and_all_different(pods: dict[int, Object]) -> None:
    def names() -> list[str]:
        spec = {"ipFamilies": ["IPv4", "IPv6"]}
        return [one.name for one in named(reconcile(Cluster(), spec, pods).slices)]

    assert names() == names()
    assert len(set(names())) == len(names())


def test_endpoints_that_change_places_are_always_in_one_of_them() -> None:
    cluster = Cluster()

    def pods(*ports: int) -> dict[int, Object]:
        return {
            number: {
                "port": port,
                "families": ("v4",),
                "ready": True,
                "phase": "Running",
                "node": "a",
            }
            for number, port in enumerate(ports, start=1)
        }

    # Both slices stay in use throughout, and each gives the other an endpoint.
    spec = {"ipFamilies": ["IPv4"]}
    reconcile(cluster, spec, pods(8080, 9090, 8080, 9090))
    before = set(placed(cluster.slices.values()))
    cluster.snapshots.clear()
    found = reconcile(cluster, spec, pods(9090, 8080, 8080, 9090))
    assert len(found.plan.create) == 1, "the circle is broken by a new slice"
    assert all(before == set(snapshot) for snapshot in cluster.snapshots)
    assert len(cluster.snapshots) == 3
