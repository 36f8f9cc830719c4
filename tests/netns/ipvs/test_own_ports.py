"""What the node itself listens on is not reached through the addresses of Services.

With IPVS the node has these addresses itself: kubernetes#72236.
"""

import sys
from collections.abc import Iterator
from itertools import product

import pytest

from ..cluster import SERVER, Cluster
from ..manifest import ADDRESS_KINDS, SERVICES, VERSIONS
from ..namespace import PATIENCE
from ..steady import steady_client

PORT = 10250
SECONDS = 1 * PATIENCE


@pytest.fixture
def listening(programmed: Cluster) -> Iterator[Cluster]:
    """The cluster with a server on the node, on all its addresses."""
    process = programmed.node.spawn(
        sys.executable, "-I", SERVER, "kubelet", str(PORT), "0.0.0.0", "::"
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield programmed
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("source", ["client", "pod-2", "node"])
def test_the_nodes_own_ports_are_closed_at_addresses_of_services(
    listening: Cluster, source: str
) -> None:
    web = SERVICES["web"]
    own = [(listening.node_addresses[version], PORT) for version in VERSIONS]
    virtual = [
        (web.address(kind, version), PORT) for kind, version in product(ADDRESS_KINDS, VERSIONS)
    ]
    with steady_client(listening.source(source)) as client:
        for targets, answers in ((own, "kubelet"), (virtual, "none")):
            expected = [[answers]] * len(targets)
            assert client(**{"try": targets, "count": 1, "seconds": SECONDS}) == expected
            ask = [(*target, 47000 + number) for number, target in enumerate(targets)]
            assert client(ask=ask) == [answers] * len(targets)
