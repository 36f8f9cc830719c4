"""A node by itself, for tests of what IPVS holds and not of packets; a core for those of both."""

import json
from collections.abc import Iterator
from itertools import count

import pytest

from ..cluster import BACKEND, NODE_NAME, REMOTE_NODE_NAME, Cluster, Pod
from ..manifest import Service, manifest
from ..namespace import Namespace
from .core import Core, core

NUMBERS = count(70)
"""IPVS remembers the connections to an address for a while, so a test has addresses of its own."""


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


@pytest.fixture(scope="module")
def restored(programmed: Cluster) -> Iterator[Cluster]:
    """The cluster, which is programmed as before after the tests of a module."""
    yield programmed
    programmed.sync(manifest(programmed))
    programmed.forget_datagrams()


@pytest.fixture(scope="module")
def told(restored: Cluster) -> Iterator[Core]:
    """The core of kpx on the node of the cluster."""
    with core(restored.node, NODE_NAME) as started:
        started.put(json.loads(manifest(restored))["items"])
        yield started


@pytest.fixture
def alone(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with nothing of kpx, programmed as before after the test."""
    cluster.kpx("cleanup")
    yield cluster
    cluster.sync(manifest(cluster))
    cluster.forget_datagrams()


@pytest.fixture
def service() -> Service:
    """A Service that no other test has, with endpoints on both nodes."""
    number = next(NUMBERS)
    return Service(f"own-{number}", number, ("pod-1", "pod-2", "pod-3", "pod-4"), {})
