"""EndpointSlices from Services, Pods and Nodes, as the EndpointSlice controller computes them.

Pure: objects in, objects out. Rules are cited as upstream's `staging/src/k8s.io/endpointslice`
has them.
"""

from kpx.endpointslices.objects import Node, ObjectInvalid, Pod, Service
from kpx.endpointslices.selection import PodIndex
from kpx.endpointslices.slices import DesiredSlices, desired_slices

__all__ = [
    "DesiredSlices",
    "Node",
    "ObjectInvalid",
    "Pod",
    "PodIndex",
    "Service",
    "desired_slices",
]
