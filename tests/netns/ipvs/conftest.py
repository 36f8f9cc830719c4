"""A node by itself, for tests of what IPVS holds and not of packets."""

import pytest

from ..cluster import BACKEND, NODE_NAME, REMOTE_NODE_NAME, Cluster, Pod
from ..namespace import Namespace


@pytest.fixture(scope="session", autouse=True)
def backend() -> None:
    """Keeps the tests from running where they would show nothing of IPVS."""
    assert BACKEND == "ipvs", "run by `tests/vm/run.py --suite ipvs`"


@pytest.fixture
def fleet(node: Namespace) -> Cluster:
    """A node without a network, and twelve pods that are no more than names and addresses."""
    pods = {}
    for number in range(1, 13):
        node_name = NODE_NAME if number % 3 == 0 else REMOTE_NODE_NAME
        subnet = 1 + number % 3
        addresses = {4: f"10.244.{subnet}.{number}", 6: f"fd00:10:244:{subnet}::{number}"}
        pods[f"pod-{number}"] = Pod(f"pod-{number}", node_name, addresses, node)
    own = {4: "192.0.2.1", 6: "2001:db8:2::1"}
    node.configure([f"address add {address} dev lo" for address in own.values()])
    return Cluster(node, node, node, own, own, own, own, pods)
