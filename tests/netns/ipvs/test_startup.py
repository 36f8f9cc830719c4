"""A node that starts: what connects is refused until it is served, and nothing waits in vain.

kube-proxy makes virtual servers before the rules that masquerade, and what connects in between is
never answered: kubernetes#133773.
"""

from ..cluster import Cluster
from ..manifest import SERVICES, VERSIONS, Service, manifest
from ..steady import steady_client

SINGLE = SERVICES["single"]
SOURCE = SINGLE.pods[0]
"""A pod that connects to itself, which works only where it is masqueraded."""
NUMBERS = range(30, 90)
"""Of Services that make the time between the first step and the last longer."""


def test_a_connection_is_refused_until_it_is_served(alone: Cluster) -> None:
    # The node has this address all the time, so that it answers from the start.
    targets = [SINGLE.target("node-port", version, alone) for version in VERSIONS]
    others = [Service(f"other-{number}", number, (SOURCE,), {}) for number in NUMBERS]
    services = {service.name: service for service in (SINGLE, *others)}
    with steady_client(alone.source(SOURCE)) as client:
        client(watch=targets)
        alone.sync(manifest(alone, services))
        assert client(hold=targets) == [SOURCE] * len(targets)
        attempts, failures = client(watched=None)
    assert len(failures) < attempts
    assert failures, "nothing was tried before it was served"
    assert [failure for failure in failures if "refused" not in failure] == []
