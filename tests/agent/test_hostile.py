"""Objects that no API server should send: each is left out by name, and the rest is served."""

from typing import Any

import pytest

from agent_process import PATIENCE
from fakes.apiserver import ENDPOINT_SLICES, SERVICES
from nodes import Node
from objects import Object

from .world import World, service_of, slice_of, world

pytestmark = [pytest.mark.netns, pytest.mark.timeout(240 * PATIENCE)]

FIRST = 60
"""The number of the first Service that is hostile, or whose slice is."""


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def hostile_services() -> list[tuple[Object, str]]:
    """Services with what is said of them; to the server `\\udcff` is a byte that is no UTF-8."""
    annotated, labelled = service_of(0), service_of(0)
    annotated["metadata"]["annotations"] = {"a": "x" * 1_000_000}
    labelled["metadata"]["labels"] = {"a": "\udcff"}
    ports = [{"name": f"p{n}", "port": n % 65535 + 1, "protocol": "TCP"} for n in range(100_000)]
    return [
        (annotated, "metadata.annotations: 1000001 bytes are more than the 262144 allowed"),
        (labelled, "not UTF-8"),
        (service_of(0, ports=ports), "spec.ports: 100000"),
        (service_of(0, externalIPs=nested(500)), "spec.externalIPs"),
        (service_of(0, ports=[{"port": 10**300}]), "spec.ports[0].port"),
        (service_of(0, ports=[{"port": -(2**63)}]), "spec.ports[0].port"),
    ]


def hostile_slices() -> list[tuple[Object, str]]:
    """The same for slices."""
    annotated, named, many, deep, huge = (slice_of(0, 1) for _ in range(5))
    annotated["metadata"]["annotations"] = {"a": nested(500)}
    named["endpoints"][0]["hostname"] = "\udcff\udcc0"
    many["ports"] = [{"name": f"p{n}", "port": n % 65535 + 1} for n in range(100_000)]
    deep["endpoints"][0]["addresses"] = nested(500)
    huge["ports"] = [{"name": "", "port": 10**300}]
    return [
        (annotated, "metadata.annotations"),
        (named, "not UTF-8"),
        (many, "ports: 100000"),
        (deep, "endpoints[0].addresses"),
        (huge, "ports[0].port"),
    ]


def numbered(item: Object, number: int) -> Object:
    """The object as that of another Service."""
    name = f"service-{number}"
    metadata = {**item["metadata"], "name": name}
    if item["kind"] == "Service":
        address = f"10.96.0.{number + 1}"
        spec = {**item["spec"], "clusterIP": address, "clusterIPs": [address]}
        return {**item, "metadata": metadata, "spec": spec}
    labels = {"kubernetes.io/service-name": name}
    return {**item, "metadata": {**metadata, "name": f"{name}-1", "labels": labels}}


def put_hostile(world: World) -> dict[str, str]:
    """Puts all to the server; gives how the log is to name each, and what it is to say."""
    expected = {}
    services, slices = hostile_services(), hostile_slices()
    for number, (item, reason) in enumerate([*services, *slices], start=FIRST):
        hostile = numbered(item, number)
        if item["kind"] == "Service":
            world.server.put(ENDPOINT_SLICES, slice_of(number, 1))
            world.server.put(SERVICES, hostile)
        else:
            world.server.put(SERVICES, service_of(number))
            world.server.put(ENDPOINT_SLICES, hostile)
        expected[f"rejected: {item['kind']} `default/{hostile['metadata']['name']}`"] = reason
        world.hostile.add(f"service-{number}")
    return expected


def assert_named(world: World, expected: dict[str, str], since: int) -> None:
    """Each object is named in the log, with its reason and in few words."""

    def is_logged() -> bool:
        log = world.agent.log()[since:]
        return all(name in log for name in expected)

    world.agent.eventually(is_logged, "each is named")
    log = world.agent.log()[since:]
    for name, reason in expected.items():
        said = log[log.index(name) + len(name) :].splitlines()[0]
        assert said.startswith(f": {reason}"), f"{name}{said}"
        assert len(said) < 300


@pytest.mark.parametrize("streaming_lists", [True, False])
def test_hostile_objects_are_named_and_the_rest_is_served(
    node: Node, streaming_lists: bool
) -> None:
    with world(node, streaming_lists=streaming_lists) as made:
        expected = put_hostile(made)
        made.change(10)
        made.agent.eventually(made.programmed(), "what came behind them is programmed")
        assert_named(made, expected, 0)
        assert made.agent.metric("kpx_rejections") == len(expected)

        # In a list, too, they cost nobody else anything.
        started = len(made.agent.log())
        made.agent.kill()
        made.change(10)
        made.agent.start()
        made.agent.eventually(made.programmed(), "the rest of the list is programmed")
        assert_named(made, expected, started)

        made.hostile.clear()
        for number in range(FIRST, FIRST + len(expected)):
            made.server.put(SERVICES, service_of(number))
            made.server.put(ENDPOINT_SLICES, slice_of(number, 2))
        made.assert_equal("what was mended is programmed")
        assert made.agent.metric("kpx_rejections") == 0
