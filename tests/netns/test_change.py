"""What a changed Service does to new connections and to those already open."""

import json
from dataclasses import replace

import pytest

from . import nft
from .cluster import KPX, Cluster, sync_options
from .conftest import Reprogram
from .manifest import KINDS, PROTOCOLS, SERVICES, VERSIONS, Kind, manifest
from .probe import connect, held_connection

WEB = SERVICES["web"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_removed_endpoint_gets_no_new_connection_and_open_ones_live(
    programmed: Cluster, reprogram: Reprogram, kind: Kind, version: int
) -> None:
    address, port = WEB.target(kind, version, programmed)
    with held_connection(programmed.client, address, port) as held:
        removed = next(pod for pod in WEB.pods if pod != held.pod)
        remaining = tuple(pod for pod in WEB.pods if pod != removed)

        reprogram(replace(WEB, pods=remaining))

        for protocol in PROTOCOLS:
            attempts = connect(programmed.client, protocol, address, port, count=200)
            assert attempts.outcomes == {"answer": 200}
            assert set(attempts.pods) == set(remaining)
        assert held.is_alive()


def test_an_open_connection_to_a_removed_endpoint_lives_on(
    programmed: Cluster, reprogram: Reprogram
) -> None:
    # Upstream deletes no TCP flow: a terminating pod answers what it has begun.
    address, port = WEB.target("cluster", 4, programmed)
    with held_connection(programmed.client, address, port) as held:
        reprogram(replace(WEB, pods=tuple(pod for pod in WEB.pods if pod != held.pod)))

        assert held.is_alive()


def test_an_added_endpoint_gets_connections(programmed: Cluster, reprogram: Reprogram) -> None:
    single = SERVICES["single"]
    reprogram(replace(single, pods=("pod-1", "pod-5")))
    for version in VERSIONS:
        address, port = single.target("cluster", version, programmed)

        attempts = connect(programmed.client, "tcp", address, port, count=100)

        assert set(attempts.pods) == {"pod-1", "pod-5"}


def test_a_service_that_loses_its_endpoints_is_refused(
    programmed: Cluster, reprogram: Reprogram
) -> None:
    pair = SERVICES["pair"]
    reprogram(replace(pair, pods=()))
    for kind in KINDS:
        address, port = pair.target(kind, 4, programmed)
        assert connect(programmed.client, "tcp", address, port).outcomes == {"unreachable": 1}


def test_a_second_sync_writes_nothing(programmed: Cluster) -> None:
    before = nft.ruleset(programmed.node)

    report = json.loads(programmed.sync(manifest(programmed), "-o", "json").stdout)

    assert report["services"] == len(SERVICES)
    assert report["operations"] == {"added": 0, "changed": 0, "removed": 0}
    assert nft.ruleset(programmed.node) == before


@pytest.mark.parametrize("length", [0.5, 0.999], ids=["half", "all but the end"])
def test_a_truncated_manifest_leaves_the_old_rules_working(
    programmed: Cluster, length: float
) -> None:
    text = manifest(programmed, {"web": replace(WEB, pods=())})

    completed = programmed.kpx(
        "sync", "-f", "-", *sync_options(), stdin=text[: int(len(text) * length)], check=False
    )

    assert completed.returncode == 1
    assert completed.stderr.startswith("error: ")
    assert_works(programmed)


def test_a_sync_without_the_capability_leaves_the_old_rules_working(programmed: Cluster) -> None:
    completed = programmed.node.run(
        "setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin",
        KPX, "sync", "-f", "-", *sync_options(),
        stdin=manifest(programmed, {"web": replace(WEB, pods=())}),
        check=False,
    )  # fmt: skip

    assert completed.returncode == 1
    assert "CAP_NET_ADMIN" in completed.stderr
    assert_works(programmed)


def assert_works(cluster: Cluster) -> None:
    """Checks that the Service every test knows answers from all its endpoints."""
    address, port = WEB.target("cluster", 4, cluster)
    assert set(connect(cluster.client, "tcp", address, port, count=120).pods) == set(WEB.pods)
