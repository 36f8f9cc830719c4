"""Datagrams of a client that keeps its port, when the endpoint behind its flow goes away."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from .cluster import KPX, Cluster, sync_options
from .conftest import Reprogram
from .manifest import KINDS, SERVICES, VERSIONS, Kind, manifest
from .namespace import PATIENCE
from .probe import Talk, talk

WEB = SERVICES["web"]
WAIT_SECONDS = 20 * PATIENCE
FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode())"
DELETED = "kubeproxy_conntrack_reconciler_deleted_entries_total"
CHECKS = "kubeproxy_conntrack_reconciler_sync_duration_seconds_count"


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {what}"
        time.sleep(0.05)


def metric_of(cluster: Cluster, name: str) -> float:
    """What the agent on the node shows, -1 if nothing."""
    url = "http://127.0.0.1:10249/metrics"
    fetched = cluster.node.run(sys.executable, "-c", FETCH, url, check=False).stdout
    values = [line.split()[1] for line in fetched.splitlines() if line.startswith(f"{name} ")]
    return float(values[0]) if values else -1


def flows(cluster: Cluster, version: int) -> list[tuple[str, str]]:
    """The id of each UDP flow of the node, with the flow; the time it has left is not in it."""
    family = {4: "ipv4", 6: "ipv6"}[version]
    listed = cluster.node.run(
        *("conntrack", "-L", "-p", "udp", "-f", family, "-o", "id"), check=False
    ).stdout
    return [(line.split("id=")[1], line) for line in listed.splitlines()]


def ids(cluster: Cluster, version: int, client_ports: list[int]) -> set[str]:
    """The ids of the flows from these ports."""
    wanted = {f"sport={port}" for port in client_ports}
    return {id for id, line in flows(cluster, version) if wanted & set(line.split())}


@contextmanager
def talkers(
    cluster: Cluster, address: str, port: int, client_ports: range
) -> Iterator[dict[int, Talk]]:
    with ExitStack() as stack:
        yield {
            client_port: stack.enter_context(talk(cluster.client, address, port, client_port))
            for client_port in client_ports
        }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_only_flows_to_the_removed_endpoint_move(
    programmed: Cluster, reprogram: Reprogram, kind: Kind, version: int
) -> None:
    # `reprogram` restores the Services behind the test; what it forgets itself would hide a fault.
    del reprogram
    programmed.forget_datagrams()
    address, port = WEB.target(kind, version, programmed)
    single = SERVICES["single"].target(kind, version, programmed)
    with (
        talkers(programmed, address, port, range(41000, 41008)) as clients,
        talk(programmed.client, *single, 41100) as bystander,
    ):
        before = {port: client.pod() for port, client in clients.items()}
        assert "lost" not in before.values()
        assert bystander.pod() == "pod-1"
        removed = before[41000]
        staying = [port for port, pod in before.items() if pod != removed]
        kept = ids(programmed, version, [*staying, 41100])
        assert len(kept) == len(staying) + 1

        remaining = tuple(pod for pod in WEB.pods if pod != removed)
        changed = {**SERVICES, "web": replace(WEB, pods=remaining)}
        programmed.sync(manifest(programmed, changed))

        after = {port: client.pod() for port, client in clients.items()}
        assert {port: after[port] for port in staying} == {port: before[port] for port in staying}
        assert set(after.values()) <= set(remaining)
        assert bystander.pod() == "pod-1"
        assert ids(programmed, version, [*staying, 41100]) == kept


def test_the_agent_moves_flows_and_counts_them(
    programmed: Cluster, reprogram: Reprogram, tmp_path: Path
) -> None:
    del reprogram
    programmed.forget_datagrams()
    path = tmp_path / "services.json"

    def write(pods: tuple[str, ...]) -> None:
        text = manifest(programmed, {**SERVICES, "web": replace(WEB, pods=pods)})
        (tmp_path / "next").write_text(text)
        (tmp_path / "next").rename(path)

    def deleted() -> float:
        return metric_of(programmed, DELETED)

    write(WEB.pods)
    address, port = WEB.target("cluster", 4, programmed)
    with talkers(programmed, address, port, range(41300, 41304)) as clients:
        pods = {port: client.pod() for port, client in clients.items()}
        assert "lost" not in pods.values()
        all_flows = ids(programmed, 4, list(pods))
        agent = programmed.node.spawn(KPX, "run", "-f", str(path), *sync_options())
        try:
            # A start that finds all as it should be moves nothing.
            eventually(lambda: deleted() == 0, "the agent is up")
            eventually(lambda: metric_of(programmed, CHECKS) > 0, "it has looked at the flows")
            assert ids(programmed, 4, list(pods)) == all_flows

            gone = pods[41300]
            write(tuple(pod for pod in WEB.pods if pod != gone))
            moved = sum(pod == gone for pod in pods.values())
            eventually(lambda: deleted() == moved, "the flows are deleted")
            after = {port: client.pod() for port, client in clients.items()}
            assert "lost" not in after.values()
            assert gone not in after.values()
            assert {p: after[p] for p in pods if pods[p] != gone} == {
                p: pods[p] for p in pods if pods[p] != gone
            }

            write(())
            eventually(lambda: deleted() == moved + len(pods), "no endpoint keeps no flow")
            assert {client.pod() for client in clients.values()} == {"lost"}
        finally:
            agent.terminate()
            agent.communicate(timeout=10 * PATIENCE)
