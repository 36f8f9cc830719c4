"""One pass of the EndpointSlice controller over manifests, without a cluster."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kpx import manifests
from kpx.endpointslices import (
    EndpointSlice,
    Policy,
    is_published,
    legacy_endpoints,
    mirror,
    mirroring_managed_by,
    named,
    reconcile,
)
from kpx.sources import Rejected, Workload, without_node

__all__ = ["Publication", "publish_once"]


@dataclass
class Publication:
    """What the controller would publish."""

    objects: list[dict[str, Any]] = field(default_factory=list)
    """The EndpointSlices there would be, and the Endpoints if they are asked for."""
    rejected: list[Rejected] = field(default_factory=list)


def publish_once(
    paths: Sequence[str], policy: Policy, *, with_endpoints: bool = False
) -> Publication:
    """Computes what is published of every Service in manifests.

    Slices are made from the Pods a Service selects, or mirror the Endpoints of one that selects
    none.

    Args:
        paths: The manifests. EndpointSlices among them count as those that exist.
        policy: How slices are made.
        with_endpoints: Whether Services with a selector get Endpoints beside their slices.

    Raises:
        ManifestUnreadable: A manifest cannot be read.
    """
    workload = Workload.of(manifests.read(paths))
    publication = Publication(rejected=workload.rejected)
    existing: dict[tuple[str, str, str], list[EndpointSlice]] = defaultdict(list)
    for one in workload.slices:
        existing[one.managed_by, one.namespace, one.service_name].append(one)
    for service in workload.services:
        pods = workload.pods_of(service)
        own = existing[policy.managed_by, service.namespace, service.name]
        reconciliation = reconcile(
            service, pods, workload.nodes, own, policy, shares=workload.shares
        )
        publication.objects += [one.to_object() for one in named(reconciliation.slices)]
        publication.rejected += without_node(reconciliation)
        if with_endpoints and is_published(service):
            publication.objects.append(legacy_endpoints(service, pods))
    services = {(service.namespace, service.name): service for service in workload.services}
    mirrored_by = mirroring_managed_by(policy.managed_by)
    for endpoints in workload.endpoints:
        key = (endpoints.namespace, endpoints.name)
        own = existing[mirrored_by, endpoints.namespace, endpoints.name]
        mirroring = mirror(endpoints, services.get(key), own, mirrored_by)
        publication.objects += [one.to_object() for one in named(mirroring.slices)]
        publication.rejected += [
            Rejected("Endpoints", "/".join(key), one.message, whole=False)
            for one in mirroring.left_out
        ]
    return publication
