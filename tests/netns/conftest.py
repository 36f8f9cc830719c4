"""Fixtures: one cluster a session, programmed once; tests that change it put it back."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from .cluster import Cluster
from .cluster import cluster as build_cluster
from .manifest import SERVICES, Service, manifest
from .namespace import Namespace
from .namespace import namespace as make_namespace

Reprogram = Callable[..., None]
"""Programs the node anew: `reprogram(changed_service, ..., options=[...])`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips the packet tests without root; `make test` runs them through sudo."""
    if os.geteuid() == 0:
        return
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()) or "node" in getattr(
            item, "fixturenames", ()
        ):
            item.add_marker(pytest.mark.skip(reason="network namespaces need root"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster, not yet programmed."""
    # Else a run that is cancelled or timed out would leave its namespaces behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with build_cluster() as built:
        yield built


@pytest.fixture(scope="session")
def programmed(cluster: Cluster) -> Cluster:
    """The cluster with every Service of `manifest.SERVICES` programmed."""
    cluster.sync(manifest(cluster))
    return cluster


@pytest.fixture
def reprogram(programmed: Cluster) -> Iterator[Reprogram]:
    """Programs changed Services, or other options, and restores what was there before."""

    def program(*services: Service, options: tuple[str, ...] | None = None) -> None:
        changed = {**SERVICES, **{service.name: service for service in services}}
        if options is None:
            programmed.sync(manifest(programmed, changed))
        else:
            programmed.kpx("sync", "-f", "-", *options, stdin=manifest(programmed, changed))
        programmed.forget_datagrams()

    yield program
    programmed.sync(manifest(programmed))
    programmed.forget_datagrams()


@pytest.fixture
def node() -> Iterator[Namespace]:
    """A namespace of the test's own, with nothing in it: for tests of rules, not of packets."""
    with make_namespace("alone") as made:
        yield made
