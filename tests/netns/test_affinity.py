"""`sessionAffinity: ClientIP`: a client stays with its endpoint until the timeout, or its end."""

import time
from dataclasses import replace

import pytest

from .cluster import NODE_NAME, Cluster
from .conftest import Reprogram
from .manifest import (
    AFFINITY_SECONDS,
    EXTERNAL_KINDS,
    KINDS,
    PROTOCOLS,
    SERVICES,
    VERSIONS,
    Kind,
    Service,
)
from .probe import connect

STICKY = SERVICES["sticky"]
CLIENTS = [f"192.0.2.{host}" for host in range(64, 94)]
"""Thirty client addresses: all choose the same of five endpoints twice once in 10^20 runs."""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", KINDS)
def test_one_client_stays_with_one_endpoint(
    programmed: Cluster, kind: Kind, protocol: str, version: int
) -> None:
    address, port = STICKY.target(kind, version, programmed)

    attempts = connect(programmed.client, protocol, address, port, count=60)

    assert attempts.outcomes == {"answer": 60}
    assert len(attempts.pods) == 1


def choices(cluster: Cluster, connections: int = 1) -> dict[str, set[str]]:
    """Returns the endpoints each client address reached."""
    address, port = STICKY.target("cluster", 4, cluster)
    attempts = connect(
        cluster.client, "tcp", address, port, count=connections * len(CLIENTS), bind=CLIENTS
    )
    assert attempts.outcomes == {"answer": connections * len(CLIENTS)}
    return attempts.pods_by_client


def test_clients_are_spread_and_the_timeout_frees_them(programmed: Cluster) -> None:
    time.sleep(AFFINITY_SECONDS + 0.5)

    first = choices(programmed, connections=3)
    again = choices(programmed)
    time.sleep(AFFINITY_SECONDS + 1)
    later = choices(programmed)

    assert all(len(pods) == 1 for pods in first.values()), first
    assert again == first
    assert len(set.union(*first.values())) > 1
    assert later != first


def test_a_new_connection_refreshes_the_timeout(programmed: Cluster) -> None:
    first = choices(programmed)
    for _ in range(4):
        time.sleep(AFFINITY_SECONDS / 2)
        assert choices(programmed) == first


def sticky(seconds: int, **changes: object) -> Service:
    """Returns the sticky Service with another timeout, and other changes of its spec."""
    config = {"clientIP": {"timeoutSeconds": seconds}}
    return replace(STICKY, spec={**STICKY.spec, "sessionAffinityConfig": config, **changes})


def test_a_removed_endpoint_is_forgotten_at_once_and_other_clients_stay(
    programmed: Cluster, reprogram: Reprogram
) -> None:
    patient = sticky(3600)
    reprogram(patient)
    first = choices(programmed)
    removed = next(iter(first[CLIENTS[0]]))
    remaining = tuple(pod for pod in STICKY.pods if pod != removed)

    reprogram(replace(patient, pods=remaining))
    after = choices(programmed)
    again = choices(programmed)

    assert removed not in set.union(*after.values())
    assert again == after
    stayed = {client: pods for client, pods in first.items() if pods != {removed}}
    assert {client: after[client] for client in stayed} == stayed
    # An endpoint that comes back gets new clients only.
    reprogram(patient)
    assert choices(programmed) == after


def test_a_shorter_timeout_counts_from_the_next_connection(
    programmed: Cluster, reprogram: Reprogram
) -> None:
    reprogram(sticky(3600))
    first = choices(programmed)

    reprogram(sticky(1))
    assert choices(programmed) == first
    time.sleep(2)

    assert choices(programmed) != first


def test_affinity_can_be_turned_off_and_on(programmed: Cluster, reprogram: Reprogram) -> None:
    reprogram(replace(STICKY, spec={}))
    spread = choices(programmed, connections=10)
    reprogram(sticky(3600))
    kept = choices(programmed, connections=10)

    assert any(len(pods) > 1 for pods in spread.values())
    assert all(len(pods) == 1 for pods in kept.values())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", EXTERNAL_KINDS)
def test_with_a_local_policy_clients_stay_with_an_endpoint_of_the_node(
    programmed: Cluster, reprogram: Reprogram, kind: Kind, version: int
) -> None:
    service = sticky(3600, externalTrafficPolicy="Local")
    reprogram(service)
    address, port = service.target(kind, version, programmed)
    on_node = {name for name, pod in programmed.pods.items() if pod.node_name == NODE_NAME}

    outside = connect(programmed.client, "tcp", address, port, count=30)
    node = connect(programmed.node, "tcp", address, port, count=30)

    assert len(outside.pods) == len(node.pods) == 1
    assert set(outside.pods) <= on_node
