"""With `--counters`, the kernel counts what `kpx top` shows; without, nothing does."""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from .cluster import KPX, TARGET_PORT, Cluster, sync_options
from .conftest import Reprogram
from .manifest import SERVICE_PORT, SERVICES, VERSIONS, Kind, Service, manifest
from .namespace import PATIENCE
from .probe import connect, held_connection

WEB = SERVICES["web"]
COUNTERS = (*sync_options(), "--counters")
READINGS = 100
"""How many readings of a tenth of a second to wait for what was sent to be counted."""


@dataclass
class Top:
    """A `kpx top` that runs, and what it has told."""

    process: "subprocess.Popen[str]"
    connections: Counter[str] = field(default_factory=Counter)
    endpoints: dict[str, Counter[str]] = field(default_factory=dict)
    refused: float = 0

    def read(self) -> None:
        """Adds up one more reading."""
        assert self.process.stdout is not None
        reading: dict[str, Any] = json.loads(self.process.stdout.readline())
        for service in reading["services"]:
            name = service["service"]
            self.connections[name] += service["connections"]
            self.refused += service["refusedPerSecond"] * reading["seconds"]
            endpoints = self.endpoints.setdefault(name, Counter())
            for endpoint in service["endpoints"]:
                endpoints[endpoint["endpoint"]] += endpoint["connections"]

    def read_until(self, service: str, connections: int) -> None:
        """Reads until a Service got so many connections, and once more."""
        for _ in range(READINGS):
            if self.connections[service] >= connections:
                break
            self.read()
        self.read()


@contextmanager
def top(cluster: Cluster) -> Iterator[Top]:
    """Runs `kpx top`, which has begun to count when the block is entered."""
    process = cluster.node.spawn(KPX, "top", "-o", "json", "--count=0", "--interval=0.1")
    try:
        running = Top(process)
        running.read()
        yield running
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=10 * PATIENCE)


@pytest.fixture(scope="module")
def counting(programmed: Cluster) -> Iterator[Cluster]:
    """The cluster with counters, until the tests that program it anew."""
    programmed.sync(manifest(programmed), "--counters")
    yield programmed
    programmed.sync(manifest(programmed))


def endpoint(cluster: Cluster, pod: str, version: int) -> str:
    address = cluster.pods[pod].addresses[version]
    return f"{address}:{TARGET_PORT}" if version == 4 else f"[{address}]:{TARGET_PORT}"


def elements(cluster: Cluster) -> list[str]:
    """The elements of all maps and sets of kpx, as `nft` lists them."""
    listed = cluster.node.run("nft", "list", "ruleset").stdout
    return [line.strip() for line in listed.splitlines() if " : " in line and "rule" not in line]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["cluster", "node-port"])
@pytest.mark.parametrize("name", ["web", "sticky", "external-local"])
def test_each_connection_is_counted_once(
    counting: Cluster, name: str, kind: Kind, version: int
) -> None:
    service = SERVICES[name]

    with top(counting) as counted:
        attempts = connect(
            counting.client, "tcp", *service.target(kind, version, counting), count=40
        )
        counted.read_until(f"default/{name}", 40)

    assert attempts.outcomes == {"answer": 40}
    assert +counted.connections == {f"default/{name}": 40}
    expected = {endpoint(counting, pod, version): n for pod, n in attempts.pods.items()}
    assert +counted.endpoints[f"default/{name}"] == expected


def test_refusals_are_counted(counting: Cluster) -> None:
    with top(counting) as counted:
        address = SERVICES["empty"].address("cluster", 4)
        attempts = connect(counting.client, "tcp", address, SERVICE_PORT, count=5)
        for _ in range(READINGS):
            if counted.refused > 4.9:
                break
            counted.read()

    assert attempts.outcomes == {"unreachable": 5}
    assert counted.refused == pytest.approx(5, abs=0.1)
    assert not +counted.connections


def test_a_table_fits_80_columns(counting: Cluster) -> None:
    lines = counting.kpx("top", "--interval=0.1").stdout.splitlines()

    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["SERVICE", "CONN/S", "REFUSED/S", "ENDPOINTS"]
    assert [line.split()[0] for line in lines[2:] if line.startswith("default/")] == sorted(
        f"default/{name}" for name in SERVICES
    )
    assert any(line.split() == ["default/web", "0.0", "0.0", "10"] for line in lines)


def test_counts_survive_a_change_of_endpoints(programmed: Cluster, reprogram: Reprogram) -> None:
    reprogram(options=COUNTERS)
    address = WEB.address("cluster", 4)
    fewer = Service(WEB.name, WEB.number, WEB.pods[:-1], WEB.spec)

    with top(programmed) as counted:
        before = connect(programmed.client, "tcp", address, SERVICE_PORT, count=30)
        counted.read_until("default/web", 30)
        reprogram(fewer, options=COUNTERS)
        after = connect(programmed.client, "tcp", address, SERVICE_PORT, count=30)
        counted.read_until("default/web", 60)

    assert counted.connections["default/web"] == 60
    pods = before.pods + after.pods
    assert +counted.endpoints["default/web"] == {
        endpoint(programmed, pod, 4): count for pod, count in pods.items()
    }


def test_switching_counters_touches_only_what_counts(
    programmed: Cluster, reprogram: Reprogram
) -> None:
    sticky = SERVICES["sticky"]
    spec = {**sticky.spec, "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 3600}}}
    sticky = Service(sticky.name, sticky.number, sticky.pods, spec)
    reprogram(sticky)
    changed = manifest(programmed, {**SERVICES, sticky.name: sticky})
    address = sticky.address("cluster", 4)
    first = connect(programmed.client, "tcp", address, SERVICE_PORT)
    before = elements(programmed)
    assert not [line for line in before if "counter" in line]

    with held_connection(programmed.client, WEB.address("cluster", 4), SERVICE_PORT) as held:
        plan = programmed.kpx("plan", "-f", "-", *COUNTERS, stdin=changed).stdout
        reprogram(sticky, options=COUNTERS)
        second = connect(programmed.client, "tcp", address, SERVICE_PORT)
        assert held.is_alive()
    counting = elements(programmed)
    again = programmed.kpx("sync", "-f", "-", *COUNTERS, stdin=changed).stdout
    verified = programmed.kpx("status", "--verify").stdout

    changes = [line for line in plan.splitlines() if line.startswith("  ")]
    assert changes
    assert all(line.endswith(" counters on") for line in changes), plan
    assert "0 to add," in plan
    assert "0 to delete." in plan
    assert len(counting) == len(before)
    assert sum("counter packets" in line for line in counting) > 100
    assert "nothing to change" in again
    assert "as in libnftables" in verified
    assert second.pods == first.pods, "a client keeps its endpoint"

    reprogram(options=tuple(sync_options()))
    assert not [line for line in elements(programmed) if "counter" in line]


def test_top_says_that_counters_are_off(programmed: Cluster) -> None:
    completed = programmed.kpx("top", check=False)

    assert completed.returncode == 1
    assert completed.stdout == ""
    assert completed.stderr.splitlines() == [
        "error: what is programmed does not count connections",
        "hint: program the node with `--counters`, such as `kpx run --counters`",
    ]
