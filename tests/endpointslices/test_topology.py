"""Hints by the CPUs of zones."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from endpointslices.cluster import Cluster, service_with_uid
from kpx.endpointslices import Node, zone_shares
from objects import node, pod

Object = dict[str, Any]
ZONES = ("a", "b", "c")


def zone_node(name: str, zone: str | None, cpu: object = "4", *, ready: bool = True) -> Object:
    made = node(name, zone)
    made["status"] |= {
        "allocatable": {"cpu": cpu},
        "conditions": [{"type": "Ready", "status": str(ready)}],
    }
    return made


def shares(*nodes: Object) -> dict[str, float] | None:
    found = zone_shares(map(Node.from_object, nodes))
    return dict(found) if found is not None else None


@pytest.mark.parametrize(
    ("quantity", "millis"),
    [
        ("4", 4000),
        (4, 4000),
        ("3920m", 3920),
        ("0.5", 500),
        (".5", 500),
        ("1e3", 1_000_000),
        ("2k", 2_000_000),
        ("1Ki", 1_024_000),
        ("1n", 1),
        ("-1", 0),
        ("many", 0),
        (None, 0),
        ("9" * 400, 0),
    ],
)
def test_h2_cpus_are_read_as_kubernetes_writes_them(quantity: object, millis: int) -> None:
    found = Node.from_object(zone_node("n", "a", quantity)).cpu_millis
    assert found == millis or (quantity == "9" * 400 and found > 0)


class TestShares:
    def test_h2_each_zone_has_its_part_of_the_cpus(self) -> None:
        nodes = [zone_node("1", "a", "1"), zone_node("2", "a", "2"), zone_node("3", "b", "1")]
        assert shares(*nodes) == {"a": 0.75, "b": 0.25}

    def test_h2_nodes_that_are_not_ready_or_of_the_control_plane_do_not_count(self) -> None:
        control = zone_node("4", None, "64")
        control["metadata"]["labels"]["node-role.kubernetes.io/master"] = ""
        nodes = [zone_node("1", "a"), zone_node("2", "b"), zone_node("3", None, ready=False)]
        assert shares(*nodes, control) == {"a": 0.5, "b": 0.5}

    @pytest.mark.parametrize(
        "odd", [zone_node("3", None), zone_node("3", "a", "0"), zone_node("3", "a", None)]
    )
    def test_h2_one_node_of_which_not_all_is_known_makes_all_unknown(self, odd: Object) -> None:
        assert shares(zone_node("1", "a"), zone_node("2", "b"), odd) is None

    def test_h2_one_zone_is_nothing_to_choose_from(self) -> None:
        assert shares(zone_node("1", "a"), zone_node("2", "a")) is None


def topology_aware() -> Object:
    made = service_with_uid()
    made["metadata"]["annotations"] = {"service.kubernetes.io/topology-mode": "Auto"}
    return made


def hinted(cluster: Cluster) -> list[str]:
    return sorted(zone for endpoint in cluster.endpoints() for zone in endpoint.zone_hints)


NODES = [zone_node(zone, zone, "4") for zone in ("a", "b")]


def pods(where: str) -> list[Object]:
    """A ready Pod in each zone named; in upper case, one that is not ready."""
    return [
        pod(f"p{number}", f"10.0.0.{number}", node_name=zone.lower(), ready=zone.islower())
        for number, zone in enumerate(where, start=1)
    ]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("aabb", "aabb"),
        ("aaab", "aabb"),
        ("aaaaaa", "aaabbb"),
        ("abB", "ab"),
        ("aaaaaab", "aaaabbb"),
        # Three endpoints for two equal zones: each would have to have two.
        ("aab", ""),
        ("a", ""),
    ],
)
def test_h2_endpoints_are_given_to_zones_by_their_share(where: str, expected: str) -> None:
    cluster = Cluster()
    found = cluster.reconcile(topology_aware(), pods(where), NODES)
    assert "".join(hinted(cluster)) == expected
    assert bool(found.hint_problems) == (not expected)


def test_h2_an_endpoint_without_a_zone_takes_all_hints_away() -> None:
    cluster = Cluster()
    cluster.reconcile(topology_aware(), pods("ab"), NODES)
    assert hinted(cluster) == ["a", "b"]
    nodes = [*NODES, zone_node("d", None, ready=False)]
    found = cluster.reconcile(topology_aware(), pods("aabd"), nodes)
    assert hinted(cluster) == []
    assert "do not have a zone" in found.hint_problems["IPv4"]


def test_h2_hints_that_still_fit_stay_where_they_are() -> None:
    cluster = Cluster()
    cluster.reconcile(topology_aware(), pods("aabbaabb"), NODES, max_endpoints_per_slice=4)
    found = cluster.reconcile(topology_aware(), pods("aabbaabba"), NODES, max_endpoints_per_slice=4)
    assert len(found.plan) == 1


def test_h2_hints_that_no_longer_fit_are_moved() -> None:
    cluster = Cluster()
    cluster.reconcile(topology_aware(), pods("aaaabbbb"), NODES, max_endpoints_per_slice=4)
    assert "".join(hinted(cluster)) == "aaaabbbb"
    nodes = [zone_node("a", "a", "1"), zone_node("b", "b", "2")]
    found = cluster.reconcile(topology_aware(), pods("aaaabbbb"), nodes, max_endpoints_per_slice=4)
    assert "".join(hinted(cluster)) == "aaabbbbb"
    assert len(found.plan) == 1


one_state = st.tuples(
    st.text("abcABC", max_size=12),
    st.dictionaries(st.sampled_from(ZONES), st.integers(0, 8), max_size=3),
    st.booleans(),
)


@example([("aaaccccc", {"c": 3}, True)])
@example([("a" * 9, {}, True), ("a" * 9, {"a": 2}, True)])
@given(st.lists(one_state, min_size=1, max_size=5))
def test_h2_no_zone_is_overloaded_and_a_second_look_writes_nothing(
    history: list[tuple[str, dict[str, int], bool]],
) -> None:
    cluster = Cluster()
    for where, cpus, is_aware in history:
        nodes = [zone_node(zone, zone, str(cpus.get(zone, 1))) for zone in ZONES]
        web = topology_aware() if is_aware else service_with_uid()

        found = cluster.reconcile(web, pods(where), nodes, max_endpoints_per_slice=3)
        ready = [one for one in cluster.endpoints() if one.ready]
        share = shares(*nodes)
        if not is_aware or found.hint_problems or share is None:
            assert hinted(cluster) == []
        else:
            assert all(len(one.zone_hints) == 1 for one in ready)
            for zone, part in share.items():
                assert part * len(ready) <= 1.2 * hinted(cluster).count(zone) + 1e-9
        assert all(one.hints == ((), ()) for one in cluster.endpoints() if not one.ready)
        again = cluster.reconcile(web, pods(where), nodes, max_endpoints_per_slice=3)
        assert len(again.plan) == 0
