"""Which endpoints a source reaches, and which source address they see.

The rows are those of `TestInternalExternalMasquerade` in kubernetes/pkg/proxy/nftables: source pod,
node or outside client; each kind of destination; traffic policies; with and without a way to tell
pods apart.
"""

from collections.abc import Iterator
from itertools import product

import pytest

from .cluster import NODE_NAME, Cluster, sync_options
from .conftest import Reprogram
from .manifest import EXTERNAL_KINDS, KINDS, PROTOCOLS, SERVICES, VERSIONS, Kind
from .probe import connect

CONNECTIONS = 120
"""Enough that a reachable endpoint of five goes unseen once in 10^11 runs."""

Row = tuple[str, str, Kind, str, str]
"""Service, source, destination, endpoints (`all` or `local`), source (`kept` or `masqueraded`)."""


def rows(
    service: str, source: str, kinds: tuple[Kind, ...], reached: str, seen: str
) -> Iterator[Row]:
    for kind in kinds:
        yield service, source, kind, reached, seen


WITH_DETECTOR: list[Row] = [
    *rows("web", "pod-1", ("cluster",), "all", "kept"),
    *rows("web", "pod-1", EXTERNAL_KINDS, "all", "masqueraded"),
    *rows("web", "node", KINDS, "all", "masqueraded"),
    *rows("web", "client", KINDS, "all", "masqueraded"),
    *rows("external-local", "pod-1", KINDS, "all", "kept"),
    *rows("external-local", "node", KINDS, "all", "masqueraded"),
    *rows("external-local", "client", ("cluster",), "all", "masqueraded"),
    *rows("external-local", "client", EXTERNAL_KINDS, "local", "kept"),
    *rows("internal-local", "pod-1", ("cluster",), "local", "kept"),
    *rows("internal-local", "pod-1", EXTERNAL_KINDS, "all", "masqueraded"),
    *rows("internal-local", "node", ("cluster",), "local", "masqueraded"),
    *rows("internal-local", "node", EXTERNAL_KINDS, "all", "masqueraded"),
    *rows("internal-local", "client", ("cluster",), "local", "masqueraded"),
    *rows("internal-local", "client", EXTERNAL_KINDS, "all", "masqueraded"),
]

MASQUERADE_ALL: list[Row] = [
    *rows("web", "pod-1", ("cluster",), "all", "masqueraded"),
    *rows("internal-local", "pod-1", ("cluster",), "local", "masqueraded"),
    *rows("external-local", "pod-1", EXTERNAL_KINDS, "all", "kept"),
]

WITHOUT_DETECTOR: list[Row] = [
    *rows("web", "pod-1", ("cluster",), "all", "kept"),
    *rows("web", "node", ("cluster",), "all", "kept"),
    *rows("web", "client", ("cluster",), "all", "kept"),
    *rows("web", "client", EXTERNAL_KINDS, "all", "masqueraded"),
    *rows("external-local", "pod-1", EXTERNAL_KINDS, "local", "kept"),
    *rows("external-local", "node", EXTERNAL_KINDS, "all", "masqueraded"),
]


def check(cluster: Cluster, row: Row, protocol: str, version: int) -> None:
    """Connects as a row says and compares what the endpoints saw with it."""
    name, source, kind, reached, seen = row
    address, port = SERVICES[name].target(kind, version, cluster)
    own_address = cluster.source_address(source, version)

    attempts = connect(cluster.source(source), protocol, address, port, count=CONNECTIONS)

    assert attempts.outcomes == {"answer": CONNECTIONS}
    assert set(attempts.pods) == set(cluster.pods if reached == "all" else cluster.local_pods)
    expected = {
        # An endpoint that reaches itself must be masqueraded, or it would answer itself directly.
        pod: {
            cluster.masqueraded(pod, version)
            if seen == "masqueraded" or pod == source
            else own_address
        }
        for pod in attempts.pods
    }
    assert attempts.sources == expected


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("row", WITH_DETECTOR, ids="-".join)
def test_with_a_cluster_cidr(programmed: Cluster, row: Row, protocol: str, version: int) -> None:
    check(programmed, row, protocol, version)


def test_masquerade_all(programmed: Cluster, reprogram: Reprogram) -> None:
    reprogram(options=(*sync_options(), "--masquerade-all"))
    for row, protocol, version in product(MASQUERADE_ALL, PROTOCOLS, VERSIONS):
        check(programmed, row, protocol, version)


def test_without_a_cluster_cidr(programmed: Cluster, reprogram: Reprogram) -> None:
    reprogram(options=("--node-name", NODE_NAME))
    for row, protocol, version in product(WITHOUT_DETECTOR, PROTOCOLS, VERSIONS):
        check(programmed, row, protocol, version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_pod_reaches_itself(programmed: Cluster, kind: Kind, protocol: str, version: int) -> None:
    address, port = SERVICES["single"].target(kind, version, programmed)

    attempts = connect(programmed.pods["pod-1"].namespace, protocol, address, port, count=20)

    assert attempts.pods == {"pod-1": 20}
    assert attempts.sources == {"pod-1": {programmed.masqueraded("pod-1", version)}}
