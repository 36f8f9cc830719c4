"""The only package that talks to the API server.

The official client supplies configuration, authentication and transport; it is imported when
there is a cluster to talk to, and never for manifests.
"""

from kpx.kube.auth import load_configuration
from kpx.kube.client import Client, ListExpired, RequestRefused
from kpx.kube.lists import Resource, list_pages, resources

__all__ = [
    "Client",
    "ListExpired",
    "RequestRefused",
    "Resource",
    "list_pages",
    "load_configuration",
    "resources",
]
