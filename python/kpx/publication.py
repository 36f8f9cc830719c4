"""One pass of the EndpointSlice controller over manifests, without a cluster."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from kpx import manifests
from kpx.endpointslices import EndpointSlice, Policy, SlicePlan, named, reconcile
from kpx.sources import Rejected, Workload, without_node

__all__ = ["Publication", "publish_once"]


@dataclass
class Publication:
    """What the controller would publish."""

    slices: list[EndpointSlice] = field(default_factory=list)
    """The slices there would be."""
    plans: list[SlicePlan] = field(default_factory=list)
    """What it would write, by Service."""
    rejected: list[Rejected] = field(default_factory=list)


def publish_once(paths: Sequence[str], policy: Policy) -> Publication:
    """Computes the slices of every Service in manifests, from the Pods and slices beside it.

    Raises:
        ManifestUnreadable: A manifest cannot be read.
    """
    workload = Workload.of(manifests.read(paths))
    publication = Publication(rejected=workload.rejected)
    existing: dict[tuple[str, str], list[EndpointSlice]] = defaultdict(list)
    for one in workload.slices:
        if one.managed_by == policy.managed_by:
            existing[one.namespace, one.service_name].append(one)
    for service in workload.services:
        reconciliation = reconcile(
            service,
            workload.pods.select(service),
            workload.nodes,
            existing[service.namespace, service.name],
            policy,
        )
        publication.slices += named(reconciliation.slices)
        publication.plans.append(reconciliation.plan)
        publication.rejected += without_node(reconciliation)
    return publication
