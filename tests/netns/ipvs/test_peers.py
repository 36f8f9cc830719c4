"""What the benchmark of IPVS compares does the same."""

import pytest
from bench.peers import IPVS_PEERS

from benchmarks.reached import reached

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("name", IPVS_PEERS)
def test_every_peer_ends_with_the_same_virtual_servers(name: str) -> None:
    found = reached(name)

    # A Service was added, removed and added again.
    assert len(found) == 12
    for service, (expected, chosen) in found.items():
        assert chosen == expected, f"Service {service}"
