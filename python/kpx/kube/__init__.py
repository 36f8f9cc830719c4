"""The only package that talks to the API server.

The official client supplies configuration, authentication and transport; it is imported when
there is a cluster to talk to, and never for manifests.
"""

from kpx.kube.auth import load_configuration
from kpx.kube.backoff import Backoff
from kpx.kube.client import Client
from kpx.kube.events import EventRecorder, ObjectReference
from kpx.kube.lease import LeaderElection
from kpx.kube.lists import list_pages
from kpx.kube.rate_limit import RateLimit
from kpx.kube.reflector import Reflector, ReflectorStatus
from kpx.kube.refusal import (
    AlreadyExists,
    Conflict,
    Forbidden,
    ListExpired,
    NotFound,
    RequestRefused,
    Unauthorized,
)
from kpx.kube.resources import Resource, resources
from kpx.kube.sink import EventReport, FeedReport, Sink

__all__ = [
    "AlreadyExists",
    "Backoff",
    "Client",
    "Conflict",
    "EventRecorder",
    "EventReport",
    "FeedReport",
    "Forbidden",
    "LeaderElection",
    "ListExpired",
    "NotFound",
    "ObjectReference",
    "RateLimit",
    "Reflector",
    "ReflectorStatus",
    "RequestRefused",
    "Resource",
    "Sink",
    "Unauthorized",
    "list_pages",
    "load_configuration",
    "resources",
]
