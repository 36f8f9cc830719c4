"""The packet-flow matrix on a real kernel: every cell of `matrix.txt` is tried with connections."""

import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from .cluster import BACKEND, NODE_NAME, POD_CIDRS, Cluster, probe_server
from .manifest import SERVICE_PORT, manifest
from .matrix import EXCEPTIONS, MATRIX, Cell, Group, read_matrix
from .matrix_services import HOST_POD, MATRIX_SERVICES, matrix_objects, with_host_pod
from .namespace import PATIENCE, Namespace

TABLE = read_matrix(MATRIX.read_text())
if BACKEND in EXCEPTIONS:
    TABLE = TABLE.with_exceptions(read_matrix(EXCEPTIONS[BACKEND].read_text(), TABLE.sources))
OBJECTS = Path(__file__).with_name("matrix.json")
PROBE = str(Path(__file__).with_name("matrix_probe.py"))

OPTIONS = {
    "cluster-cidr": ("--cluster-cidr", ",".join(POD_CIDRS)),
    "masquerade-all": ("--masquerade-all",),
}
AT_ONCE = 1.0 * PATIENCE
"""Seconds within which a refusal has to come: TCP would send again after them."""


@dataclass(frozen=True)
class Round:
    """How cells that expect the like are probed: one round after the other, each undisturbed."""

    at_the_same_time: int
    timeout: float
    """Seconds to wait for an answer."""


# Answers may take their time on a busy machine. A refusal is timed, so only a few come at once.
# What is dropped keeps no machine busy, so silence tells.
ANSWERS = Round(at_the_same_time=64, timeout=10 * PATIENCE)
ROUNDS = {
    "refused": Round(at_the_same_time=4, timeout=3 * PATIENCE),
    "dropped": Round(at_the_same_time=1000, timeout=1 * PATIENCE),
}


@dataclass(frozen=True)
class Observation:
    """How the connections of one cell ended; see `matrix_probe.py`."""

    outcomes: dict[str, int]
    sources: dict[str, list[str]]
    slowest: float


# The first cell of a group waits for the connections of all.
pytestmark = pytest.mark.timeout(1200)

Observe = Callable[[Cell], Observation]


@pytest.fixture(scope="module")
def cluster_with_host_pod(programmed: Cluster) -> Iterator[Cluster]:
    """The cluster, made ready for the sources and the endpoints of the matrix."""
    built = with_host_pod(programmed)
    # Takes port unreachables out of the limit on how many the kernel sends to all hosts together.
    built.node.set_sysctls(net__ipv4__icmp_ratemask=0, net__ipv6__icmp__ratemask=0)
    # A pod elsewhere must get its answers through the node that translated its packets.
    detour = [
        (f"-{version}", *words)
        for version, gateway in built.uplink_addresses.items()
        for words in (
            ("route", "default", "via", gateway, "table", "100"),
            ("rule", "iif", "cni0", "lookup", "100"),
        )
    ]
    with ExitStack() as stack:
        stack.enter_context(probe_server(built.pods[HOST_POD]))
        for family, subject, *words in detour:
            built.remote.run("ip", family, subject, "add", *words)
            stack.callback(built.remote.run, "ip", family, subject, "delete", *words)
        yield built
    programmed.sync(manifest(programmed))
    programmed.forget_datagrams()


@pytest.fixture(scope="module")
def observe(cluster_with_host_pod: Cluster) -> Observe:
    """Says what became of a cell's connections; a group's are all made when its first is asked."""
    observations: dict[Cell, Observation] = {}

    def observed(cell: Cell) -> Observation:
        if cell not in observations:
            program(cluster_with_host_pod, cell.group)
            observations.update(probe(cluster_with_host_pod, TABLE.group(cell.group)))
        return observations[cell]

    return observed


def program(cluster: Cluster, group: Group) -> None:
    """Programs all Services of the matrix, with the options of a group."""
    options = [word for option in group.options for word in OPTIONS[option]]
    node = ("--backend", BACKEND, "--node-name", NODE_NAME)
    cluster.kpx("sync", "-f", str(OBJECTS), *node, *options)
    cluster.forget_datagrams()


def probe(cluster: Cluster, cells: list[Cell]) -> dict[Cell, Observation]:
    """Makes the connections of many cells, from all their sources at the same time."""
    observations: dict[Cell, Observation] = {}
    for round_ in (ANSWERS, *ROUNDS.values()):
        own = [cell for cell in cells if ROUNDS.get(cell.reached, ANSWERS) == round_]
        by_source = [[cell for cell in own if cell.source == name] for name in TABLE.sources]
        probed = partial(probe_from_one_source, cluster, round_)
        with ThreadPoolExecutor() as pool:
            for observed in pool.map(probed, filter(None, by_source)):
                observations.update(observed)
    return observations


def probe_from_one_source(
    cluster: Cluster, round_: Round, cells: list[Cell]
) -> dict[Cell, Observation]:
    """Makes the connections of the cells of one source."""
    completed = source_namespace(cluster, cells[0].source).run(
        *(sys.executable, "-I", PROBE, str(round_.at_the_same_time), str(round_.timeout)),
        stdin=json.dumps([target(cluster, cell) for cell in cells]),
        timeout=900,
    )
    results = json.loads(completed.stdout)
    return {cell: Observation(**result) for cell, result in zip(cells, results, strict=True)}


def source_namespace(cluster: Cluster, name: str) -> Namespace:
    """Returns the namespace that has the addresses of a source."""
    addresses = TABLE.sources[name].addresses
    candidates = [
        (cluster.client_addresses, cluster.client),
        *((pod.addresses, pod.namespace) for pod in cluster.pods.values()),
    ]
    return next(namespace for own, namespace in candidates if own == addresses)


def target(cluster: Cluster, cell: Cell) -> dict[str, Any]:
    """Returns what the probe is told of a cell."""
    service, version = MATRIX_SERVICES[cell.service], cell.version
    address, port = {
        "cluster-ip": (service.address("cluster", version), SERVICE_PORT),
        "node-port": (cluster.node_addresses[version], service.node_port),
        "load-balancer": (service.address("load-balancer", version), SERVICE_PORT),
        "external-ip": (service.address("external", version), SERVICE_PORT),
        "other-port": (service.address("cluster", version), SERVICE_PORT + 1),
        "unallocated": ({4: "10.96.200.200", 6: "fd00:10:96::c8c8"}[version], SERVICE_PORT),
        "other-node-port": (cluster.uplink_addresses[version], service.node_port),
        "loopback-node-port": ({4: "127.0.0.1", 6: "::1"}[version], service.node_port),
    }[cell.destination]
    return {
        "protocol": cell.protocol,
        "address": address,
        "port": port,
        "wanted": len(expected_endpoints(cluster, cell)),
    }


def expected_endpoints(cluster: Cluster, cell: Cell) -> list[set[str]]:
    """Returns sets of pods of which each must answer once at least, and no other pod may."""
    pods = MATRIX_SERVICES[cell.service].pods
    local = set(pods) & set(cluster.local_pods)
    return {
        "all": [{pod} for pod in pods],
        "local": [{pod} for pod in local],
        "one": [set(pods)],
        "one-local": [local],
    }.get(cell.reached, [])


def test_the_objects_are_those_of_the_services(cluster: Cluster) -> None:
    assert OBJECTS.read_text() == matrix_objects(cluster)


@pytest.mark.parametrize("cell", TABLE.cells, ids=str)
def test_cell(cell: Cell, cluster_with_host_pod: Cluster, observe: Observe) -> None:
    judge(cluster_with_host_pod, cell, observe(cell))


def judge(cluster: Cluster, cell: Cell, observation: Observation) -> None:
    """Compares how the connections of a cell ended with what the cell says."""
    if cell.reached == "dropped":
        assert observation.outcomes == {"timeout": 1}
    elif cell.reached == "refused":
        assert observation.outcomes.keys() == {"unreachable"}
        assert observation.slowest < AT_ONCE
    elif cell.reached == "untouched":
        own = "reset" if cell.protocol == "tcp" else "unreachable"
        assert observation.outcomes.keys() == {own}
    else:
        assert observation.outcomes.keys() == {"answer"}
        endpoints = expected_endpoints(cluster, cell)
        assert len(observation.sources) == len(endpoints)
        assert all(pods & observation.sources.keys() for pods in endpoints)
        for pod, sources in observation.sources.items():
            assert sources == [seen_address(cluster, cell, pod)]


def seen_address(cluster: Cluster, cell: Cell, pod: str) -> str:
    """Returns the source address a pod has to see."""
    if cell.seen == "kept":
        return TABLE.sources[cell.source].addresses[cell.version]
    if pod == HOST_POD:
        return cluster.node_addresses[cell.version]
    return cluster.masqueraded(pod, cell.version)
