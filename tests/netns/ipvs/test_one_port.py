"""What IPVS cannot tell apart: connections from one port to two addresses, sent to one endpoint.

Both go from the same client to the same endpoint, and an answer says no more. A client may get one
port for several targets from its system. With nftables each connection is translated by itself.
"""

from dataclasses import replace

import pytest

from ..cluster import Cluster
from ..manifest import Service
from ..steady import steady_client
from .core import Core

CLIENT_PORT = 40100


@pytest.mark.parametrize("source", ["client", "pod-3"])
def test_the_older_of_two_connections_from_one_port_is_not_answered_any_more(
    restored: Cluster, told: Core, service: Service, source: str
) -> None:
    told.put(replace(service, pods=("pod-1",)).objects(restored.pods))
    first, second = (service.target(kind, 4, restored) for kind in ("cluster", "node-port"))
    with steady_client(restored.source(source)) as client:
        assert client(hold=[(*first, CLIENT_PORT)]) == ["pod-1"]
        assert client(alive=None) == [True]
        assert client(hold=[(*second, CLIENT_PORT)]) == ["pod-1"]
        assert client(alive=None) == [False, True]
