"""Whatever happens to Services, IPVS holds what they ask for, on the real kernel."""

from random import Random

import pytest

from ..cluster import NODE_NAME, Cluster
from ..manifest import Service
from .core import core
from .history import History
from .virtual_servers import (
    DEVICE,
    desired,
    device_addresses,
    listed,
    serving,
    virtual_addresses,
)

STEPS = 40
LOOK = 0.3
"""How often what happened is programmed and looked at."""


@pytest.mark.parametrize("seed", range(2))
def test_ipvs_holds_what_is_desired_after_any_history(fleet: Cluster, seed: int) -> None:
    random = Random(seed)
    history = History(fleet, random)
    looks = 0
    with core(fleet.node, NODE_NAME) as told:
        for event in history.begin():
            told("event", *event)
        for step in range(STEPS):
            for event in history.go_on():
                told("event", *event)
            if random.random() > LOOK and step < STEPS - 1:
                continue
            looks += 1
            before = serving(listed(fleet.node))
            told("sync")
            wanted = desired(fleet, history.services)
            found = listed(fleet.node)
            assert serving(found) == wanted
            # What drains is what was there: a destination that is new is never of weight 0.
            drained = {
                (server.split(" -s ")[0], address)
                for server, destinations in found.items()
                for address, weight in destinations.items()
                if weight == 0
            }
            known = {
                (server.split(" -s ")[0], address)
                for server, destinations in before.items()
                for address in destinations
            }
            assert drained <= known
            # All that is drained is idle, so the first look finds it so.
            told("settle", 0)
            assert listed(fleet.node) == wanted
            assert told("sync") == 0
            assert device_addresses(fleet.node) == virtual_addresses(history.services)
    assert looks > 5


def test_a_fresh_start_finds_nothing_to_change(fleet: Cluster) -> None:
    history = History(fleet, Random(11))
    with core(fleet.node, NODE_NAME) as told:
        for event in history.begin():
            told("event", *event)
        for _ in range(STEPS):
            for event in history.go_on():
                told("event", *event)
        assert told("sync") > 0
    assert listed(fleet.node) == desired(fleet, history.services)
    with core(fleet.node, NODE_NAME) as told:
        for event in history.everything():
            told("event", *event)
        assert told("sync") == 0


def test_what_others_change_is_put_right(fleet: Cluster) -> None:
    # kube-proxy 1.34 looked only when something of a Service changed: kubernetes#135631.
    service = Service("service", 40, ("pod-1", "pod-2"), {})
    wanted = desired(fleet, {"service": service})
    addresses = virtual_addresses({"service": service})
    with core(fleet.node, NODE_NAME) as told:
        told.put(service.objects(fleet.pods))
        assert listed(fleet.node) == wanted
        fleet.node.configure([f"address delete {service.address('cluster', 4)}/32 dev {DEVICE}"])
        assert told("audit") is True
        told("repair")
        assert device_addresses(fleet.node) == addresses
        fleet.node.run("ipvsadm", "-C")
        # All virtual servers are looked at once in sixty times.
        assert any(told("audit") for _ in range(60))
        told("repair")
        assert listed(fleet.node) == wanted
        assert told("audit") is False
