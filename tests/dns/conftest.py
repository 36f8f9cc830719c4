import json
from collections.abc import Iterator

import pytest

from dns_cluster import manifest
from dns_peers import Peers
from kpx._core import DnsServer, DnsStore

CONFIG = {
    "zone": "cluster.local",
    "ttl": 5,
    "reverse_zones": ["10.in-addr.arpa"],
    "addresses": ["10.244.1.5"],
}


@pytest.fixture
def store() -> DnsStore:
    store = DnsStore(json.dumps(CONFIG))
    store.feed(manifest())
    store.complete()
    return store


@pytest.fixture
def server(store: DnsStore) -> Iterator[tuple[str, int]]:
    server = DnsServer(store, "127.0.0.1:0", 2, ["127.0.0.0/8"])
    address = server.address()
    assert address is not None
    host, port = address.rsplit(":", 1)
    yield host, int(port)
    server.stop()


@pytest.fixture
def peers() -> Iterator[Peers]:
    with Peers() as peers:
        yield peers
