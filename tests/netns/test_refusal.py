"""What a connection meets that no endpoint can take: refused at once, or dropped for a retry."""

import pytest

from .cluster import Cluster
from .manifest import EXTERNAL_KINDS, KINDS, PROTOCOLS, SERVICE_PORT, SERVICES, VERSIONS, Kind
from .namespace import PATIENCE
from .probe import connect

AT_ONCE = 0.8 * PATIENCE
"""Seconds within which a refusal has to come."""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", ["client", "pod-2", "node"])
def test_no_endpoints_is_refused_at_once(
    programmed: Cluster, source: str, kind: Kind, protocol: str, version: int
) -> None:
    address, port = SERVICES["empty"].target(kind, version, programmed)

    attempts = connect(programmed.source(source), protocol, address, port, count=3)

    assert attempts.outcomes == {"unreachable": 3}
    assert attempts.slowest < AT_ONCE


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("source", ["client", "pod-2", "node"])
def test_an_undefined_port_of_a_cluster_ip_is_refused_at_once(
    programmed: Cluster, source: str, protocol: str, version: int
) -> None:
    address = SERVICES["web"].address("cluster", version)

    attempts = connect(programmed.source(source), protocol, address, SERVICE_PORT + 1, count=3)

    assert attempts.outcomes == {"unreachable": 3}
    assert attempts.slowest < AT_ONCE


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_unallocated_address_of_the_service_network_is_dropped(
    programmed: Cluster, protocol: str, version: int
) -> None:
    address = {4: "10.96.200.200", 6: "fd00:10:96::c8c8"}[version]

    attempts = connect(programmed.client, protocol, address, SERVICE_PORT, timeout=0.7)

    assert attempts.outcomes == {"timeout": 1}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", KINDS)
def test_endpoints_on_another_node_only_are_dropped_under_local_policies(
    programmed: Cluster, kind: Kind, protocol: str, version: int
) -> None:
    address, port = SERVICES["local-elsewhere"].target(kind, version, programmed)

    attempts = connect(programmed.client, protocol, address, port, timeout=0.7)

    assert attempts.outcomes == {"timeout": 1}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", EXTERNAL_KINDS)
@pytest.mark.parametrize("source", ["pod-1", "node"])
def test_pods_and_the_node_reach_other_nodes_past_an_external_local_policy(
    programmed: Cluster, source: str, kind: Kind, version: int
) -> None:
    service = SERVICES["local-elsewhere"]
    address, port = service.target(kind, version, programmed)

    attempts = connect(programmed.source(source), "tcp", address, port, count=60)

    assert attempts.outcomes == {"answer": 60}
    assert set(attempts.pods) == set(service.pods)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_node_ports_answer_on_the_primary_address_only(
    programmed: Cluster, protocol: str, version: int
) -> None:
    port = SERVICES["web"].node_port

    attempts = connect(programmed.remote, protocol, programmed.uplink_addresses[version], port)

    # Nothing listens there and no rule takes it: the node's own answer, for TCP a reset.
    assert attempts.outcomes == {"reset" if protocol == "tcp" else "unreachable": 1}
