"""What follows the node's addresses, the cluster's networks, and the configured mark."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from .cluster import SERVICE_CIDRS, Cluster
from .manifest import PROTOCOLS, SERVICE_PORT, SERVICES, VERSIONS, manifest
from .probe import connect

UNALLOCATED = {4: "10.96.200.200", 6: "fd00:10:96::c8c8"}
"""Addresses of the Service networks that no Service has."""


@pytest.fixture
def restored(programmed: Cluster) -> Iterator[Cluster]:
    """The programmed cluster, programmed anew after the test."""
    yield programmed
    programmed.sync(manifest(programmed))
    programmed.forget_datagrams()


@pytest.mark.parametrize("version", VERSIONS)
def test_node_ports_follow_the_addresses_of_the_node(restored: Cluster, version: int) -> None:
    port = SERVICES["web"].node_port
    old, new = restored.node_addresses[version], restored.uplink_addresses[version]
    assert connect(restored.client, "tcp", old, port).outcomes == {"answer": 1}
    assert connect(restored.client, "tcp", new, port).outcomes == {"reset": 1}

    restored.sync(manifest(restored, node_addresses=restored.uplink_addresses))

    assert connect(restored.client, "tcp", old, port).outcomes == {"reset": 1}
    assert connect(restored.client, "tcp", new, port).outcomes == {"answer": 1}


@pytest.fixture
def reachable_elsewhere(cluster: Cluster) -> Iterator[None]:
    """Gives the unallocated addresses to the other node, where nothing listens on them."""
    for version, address in UNALLOCATED.items():
        gateway = {4: "198.51.100.2", 6: "2001:db8:3::2"}[version]
        cluster.remote.configure([f"address add {address} dev lo"])
        cluster.node.configure([f"route add {address} via {gateway}"])
    yield
    for address in UNALLOCATED.values():
        cluster.node.configure([f"route delete {address}"])
        cluster.remote.configure([f"address delete {address} dev lo"])


@pytest.mark.usefixtures("reachable_elsewhere")
def test_service_networks_apply_as_they_change(restored: Cluster) -> None:
    for service_cidrs, outcome in ((SERVICE_CIDRS, "timeout"), ((), "reset")) * 2:
        restored.sync(manifest(restored, service_cidrs=service_cidrs))

        for address in UNALLOCATED.values():
            attempts = connect(restored.client, "tcp", address, SERVICE_PORT, timeout=0.7)
            assert attempts.outcomes == {outcome: 1}


def test_the_mark_of_masqueraded_packets_can_be_chosen(restored: Cluster, tmp_path: Path) -> None:
    configuration = tmp_path / "kube-proxy.yaml"
    configuration.write_text(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\n"
        "kind: KubeProxyConfiguration\n"
        "nftables: {masqueradeBit: 20}\n"
    )
    restored.sync(manifest(restored), "--config", str(configuration))

    listed = restored.node.run("nft", "list", "ruleset").stdout
    assert "0x00100000" in listed
    assert "0x00004000" not in listed
    for protocol, version in product(PROTOCOLS, VERSIONS):
        address, port = SERVICES["single"].target("node-port", version, restored)
        attempts = connect(restored.client, protocol, address, port, count=5)
        assert attempts.sources == {"pod-1": {restored.masqueraded("pod-1", version)}}
