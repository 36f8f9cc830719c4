"""SCTP Services: associations reach every endpoint and are answered from the virtual address."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .chi_squared import evenness
from .cluster import TARGET_PORT, Cluster
from .manifest import KINDS, SERVICES, VERSIONS, Kind
from .namespace import PATIENCE

SCTP = str(Path(__file__).with_name("sctp.py"))
ASSOCIATIONS = 300


@pytest.fixture(scope="module", params=VERSIONS)
def version(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[int]:
    """An IP version, with SCTP servers on the addresses the pods have of it."""
    version: int = request.param
    with ExitStack() as stack:
        for pod in cluster.pods.values():
            process = pod.namespace.spawn(
                *(sys.executable, "-I", SCTP, "serve"),
                pod.name,
                pod.addresses[version],
                str(TARGET_PORT),
            )
            stack.callback(process.communicate, timeout=10 * PATIENCE)
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield version


@pytest.mark.parametrize("kind", KINDS)
def test_associations_reach_every_endpoint_evenly(
    programmed: Cluster, version: int, kind: Kind
) -> None:
    service = SERVICES["sctp"]
    address, port = service.target(kind, version, programmed)

    completed = programmed.client.run(
        sys.executable, "-I", SCTP, "connect", address, str(port), str(ASSOCIATIONS)
    )

    cookies = json.loads(completed.stdout)
    assert None not in cookies
    reached = [cookie.split() for cookie in cookies]
    counts = {pod: sum(name == pod for name, _source in reached) for pod in service.pods}
    assert sum(counts.values()) == ASSOCIATIONS
    assert evenness(counts.values()) > 1e-6, counts
    assert {source for _pod, source in reached} <= {
        programmed.masqueraded(pod, version) for pod in service.pods
    }
