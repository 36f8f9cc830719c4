"""Every way to address a Service reaches each of its endpoints, and no other, equally often."""

import pytest

from .chi_squared import evenness
from .cluster import Cluster
from .manifest import KINDS, PROTOCOLS, SERVICES, VERSIONS, Kind
from .probe import connect

WEB = SERVICES["web"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", KINDS)
def test_client_reaches_every_endpoint_evenly(
    programmed: Cluster, kind: Kind, protocol: str, version: int
) -> None:
    address, port = WEB.target(kind, version, programmed)

    attempts = connect(programmed.client, protocol, address, port, count=600)

    assert attempts.outcomes == {"answer": 600}
    assert set(attempts.pods) == set(WEB.pods)
    assert evenness(attempts.pods.values()) > 1e-6, attempts.pods
