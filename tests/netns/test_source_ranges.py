"""`loadBalancerSourceRanges` filter the load balancer's address first, and only that."""

import pytest

from .cluster import Cluster
from .manifest import PROTOCOLS, SERVICES, Kind
from .probe import connect

RANGES = SERVICES["ranges"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_address_in_the_range_is_served(programmed: Cluster, protocol: str) -> None:
    address, port = RANGES.target("load-balancer", 4, programmed)

    attempts = connect(programmed.client, protocol, address, port, count=10, bind=["192.0.2.70"])

    assert attempts.outcomes == {"answer": 10}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("source", ["client", "pod-1"])
def test_an_address_outside_the_range_is_dropped(
    programmed: Cluster, source: str, protocol: str
) -> None:
    address, port = RANGES.target("load-balancer", 4, programmed)

    attempts = connect(programmed.source(source), protocol, address, port, timeout=0.7)

    assert attempts.outcomes == {"timeout": 1}


@pytest.mark.parametrize("kind", ["cluster", "node-port", "external"])
def test_the_other_addresses_are_not_filtered(programmed: Cluster, kind: Kind) -> None:
    address, port = RANGES.target(kind, 4, programmed)

    assert connect(programmed.client, "tcp", address, port, count=10).outcomes == {"answer": 10}
