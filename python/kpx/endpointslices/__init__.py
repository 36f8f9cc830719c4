"""EndpointSlices from Services, Pods and Nodes, as the EndpointSlice controller computes them.

Pure: objects in, objects out. Rules are cited as upstream's `staging/src/k8s.io/endpointslice`
has them.
"""

from kpx.endpointslices.fields import ObjectInvalid
from kpx.endpointslices.legacy import (
    OVER_CAPACITY_ANNOTATION,
    is_from_pods,
    is_up_to_date,
    legacy_endpoints,
)
from kpx.endpointslices.mirroring import (
    Endpoints,
    LeftOut,
    is_for_leader_election,
    is_mirrored,
    mirror,
    mirroring_managed_by,
)
from kpx.endpointslices.naming import named
from kpx.endpointslices.objects import Node, Service
from kpx.endpointslices.packing import Extent
from kpx.endpointslices.reconciler import (
    MANAGED_BY,
    MAX_ENDPOINTS_PER_SLICE,
    Policy,
    Reconciliation,
    is_published,
    reconcile,
)
from kpx.endpointslices.selection import ServiceIndex
from kpx.endpointslices.slices import (
    MANAGED_BY_LABEL,
    TRIGGER_TIME_ANNOTATION,
    Endpoint,
    EndpointSlice,
)
from kpx.endpointslices.topology import ZoneShares, zone_shares
from kpx.endpointslices.tracker import ExpectationTracker, VersionTracker
from kpx.endpointslices.trigger_time import TriggerTimeTracker
from kpx.endpointslices.writes import SlicePlan

__all__ = [
    "MANAGED_BY",
    "MANAGED_BY_LABEL",
    "MAX_ENDPOINTS_PER_SLICE",
    "OVER_CAPACITY_ANNOTATION",
    "TRIGGER_TIME_ANNOTATION",
    "Endpoint",
    "EndpointSlice",
    "Endpoints",
    "ExpectationTracker",
    "Extent",
    "LeftOut",
    "Node",
    "ObjectInvalid",
    "Policy",
    "Reconciliation",
    "Service",
    "ServiceIndex",
    "SlicePlan",
    "TriggerTimeTracker",
    "VersionTracker",
    "ZoneShares",
    "is_for_leader_election",
    "is_from_pods",
    "is_mirrored",
    "is_published",
    "is_up_to_date",
    "legacy_endpoints",
    "mirror",
    "mirroring_managed_by",
    "named",
    "reconcile",
    "zone_shares",
]
