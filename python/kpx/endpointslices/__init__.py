"""EndpointSlices from Services, Pods and Nodes, as the EndpointSlice controller computes them.

Pure: objects in, objects out. Rules are cited as upstream's `staging/src/k8s.io/endpointslice`
has them.
"""

from kpx.endpointslices.fields import ObjectInvalid
from kpx.endpointslices.legacy import legacy_endpoints
from kpx.endpointslices.mirroring import Endpoints, mirror, mirroring_managed_by
from kpx.endpointslices.naming import named
from kpx.endpointslices.objects import Node, Pod, Service
from kpx.endpointslices.reconciler import (
    MANAGED_BY,
    MAX_ENDPOINTS_PER_SLICE,
    Policy,
    Reconciliation,
    is_published,
    reconcile,
)
from kpx.endpointslices.selection import PodIndex, ServiceIndex
from kpx.endpointslices.slices import MANAGED_BY_LABEL, Endpoint, EndpointSlice
from kpx.endpointslices.tracker import ExpectationTracker
from kpx.endpointslices.trigger_time import TriggerTimeTracker
from kpx.endpointslices.writes import SlicePlan

__all__ = [
    "MANAGED_BY",
    "MANAGED_BY_LABEL",
    "MAX_ENDPOINTS_PER_SLICE",
    "Endpoint",
    "EndpointSlice",
    "Endpoints",
    "ExpectationTracker",
    "Node",
    "ObjectInvalid",
    "Pod",
    "PodIndex",
    "Policy",
    "Reconciliation",
    "Service",
    "ServiceIndex",
    "SlicePlan",
    "TriggerTimeTracker",
    "is_published",
    "legacy_endpoints",
    "mirror",
    "mirroring_managed_by",
    "named",
    "reconcile",
]
