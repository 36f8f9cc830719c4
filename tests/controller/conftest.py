"""The API server that the controller talks to."""

from collections.abc import Iterator

import pytest

from deploy.rights import granted
from fakes.apiserver import NODES, SERVICES, ApiServer
from objects import node, service


@pytest.fixture
def server() -> Iterator[ApiServer]:
    """With one Node and the Service `web`; refuses to be asked for more than RBAC grants."""
    with ApiServer() as running:
        running.put(NODES, node())
        running.put(SERVICES, service())
        yield running
    rights = granted("ClusterRole") | granted("Role")
    for request in running.requests:
        parts = request.path.strip("/").split("/")
        group, rest = (parts[1], parts[3:]) if parts[0] == "apis" else ("", parts[2:])
        resource = rest[2] if rest[0] == "namespaces" else rest[0]
        assert (group, resource, request.verb) in rights, request.path
