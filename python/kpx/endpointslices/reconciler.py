"""From a Service, its Pods and its slices to the writes that make the slices right.

A pure function. The rules are those of `reconciler.go` upstream; where kpx differs, it says so.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from kpx._core import Pod
from kpx.endpointslices.endpoints import AddressType, address_types, endpoint, should_publish
from kpx.endpointslices.hints import is_distributed
from kpx.endpointslices.objects import Node, Service
from kpx.endpointslices.packing import NOTHING, Extent, Packing, pack
from kpx.endpointslices.ports import PortMapKey, endpoint_ports, port_map_key
from kpx.endpointslices.slices import Endpoint, EndpointSlice, Identity, slice_labels
from kpx.endpointslices.topology import ZoneShares, spread
from kpx.endpointslices.writes import SlicePlan, ordered

__all__ = [
    "MANAGED_BY",
    "MAX_ENDPOINTS_PER_SLICE",
    "Policy",
    "Reconciliation",
    "is_published",
    "reconcile",
]

MAX_ENDPOINTS_PER_SLICE: Final = 100
"""The default of the controller's `--max-endpoints-per-slice`."""

MANAGED_BY: Final = "endpointslice-controller.kpx.dev"
"""Our value of the label that says whose a slice is; we touch no other slices."""

_Desired = dict[PortMapKey, dict[Identity, Endpoint]]


@dataclass(frozen=True)
class Policy:
    """What an operator may choose."""

    managed_by: str = MANAGED_BY
    max_endpoints_per_slice: int = MAX_ENDPOINTS_PER_SLICE


DEFAULT_POLICY: Final = Policy()


@dataclass(frozen=True)
class Reconciliation:
    """What `reconcile` found."""

    plan: SlicePlan
    slices: tuple[EndpointSlice, ...]
    """The slices there are once the plan is carried out; new ones have no name yet."""
    without_node: list[Pod] = field(default_factory=list)
    """Pods left out because the Node they run on is not known. They are to be tried again."""
    extent: Extent = NOTHING
    hint_problems: dict[AddressType, str] = field(default_factory=dict)
    """Why a family has no hints by topology mode, which the Service asks for."""


def is_published(service: Service) -> bool:
    """Whether a Service has slices made from Pods."""
    return service.selector is not None and service.type != "ExternalName"


def reconcile(
    service: Service,
    pods: Iterable[Pod],
    nodes: Mapping[str, Node] | None,
    existing: Iterable[EndpointSlice] = (),
    policy: Policy = DEFAULT_POLICY,
    trigger_time: str = "",
    shares: ZoneShares | None = None,
) -> Reconciliation:
    """Compares the slices of one Service with what they should be.

    Args:
        service: The Service. Without a selector, or with the type `ExternalName`, it should have no
            slices; those from before are deleted, which upstream leaves to somebody else.
        pods: The Pods it selects.
        nodes: The Nodes by name. A Pod on a Node that is not among them is left out, unless the
            Service publishes Pods that are not ready. `None` says that nothing is known of Nodes:
            Pods are then published without a zone.
        existing: The slices with our label and the Service's name in its namespace.
        policy: What the operator chose.
        trigger_time: When the change happened that is to be published, RFC 3339; empty if unknown.
        shares: What part of the cluster's CPUs each zone has, for topology mode.
    """
    # A slice on its way out neither holds endpoints for us nor needs another deletion.
    present = [one for one in existing if not one.is_deleted]
    selected = list(pods)
    owner = ("Service", service.uid)
    owned = [one for one in present if (one.owner_kind, one.owner_uid) == owner]
    foreign = [one for one in present if (one.owner_kind, one.owner_uid) != owner]
    families = address_types(service) if is_published(service) else []
    packing = Packing(delete=[one for one in owned if one.address_type not in families])
    without_node: list[Pod] = []
    hint_problems: dict[AddressType, str] = {}
    for family in families:
        desired, unplaced = _desired(service, selected, nodes, family)
        without_node = without_node or unplaced
        of_family = [one for one in owned if one.address_type == family]
        packed = _pack_family(service, family, desired, of_family, policy)
        if service.is_topology_aware:
            problem = spread(packed, shares)
            if problem:
                hint_problems[family] = problem
        packing.extend(packed)
    _recycle(packing)
    create = [] if service.is_deleted else packing.create
    plan = ordered(
        [one.triggered_at(trigger_time) for one in create],
        [one.triggered_at(trigger_time) for one in packing.update],
        [*packing.delete, *foreign],
        {one.name: one for one in owned},
    )
    slices = (*plan.create, *plan.update, *packing.unchanged)
    return Reconciliation(plan, slices, without_node, packing.extent, hint_problems)


def _desired(
    service: Service,
    pods: Iterable[Pod],
    nodes: Mapping[str, Node] | None,
    family: AddressType,
) -> tuple[_Desired, list[Pod]]:
    """The endpoints of a family by their ports, and the Pods whose Node is not known."""
    desired: _Desired = {}
    without_node = []
    for pod in filter(should_publish, pods):
        # The ports of a Pod that is left out count all the same.
        group = desired.setdefault(port_map_key(endpoint_ports(service, pod)), {})
        node = nodes.get(pod.node_name) if nodes else None
        unknown_node = nodes is not None and bool(pod.node_name) and node is None
        if unknown_node and not service.publish_not_ready_addresses:
            without_node.append(pod)
            continue
        published = endpoint(pod, node, service, family)
        if published is not None:
            group[published.identity] = published
    return desired, without_node


def _pack_family(
    service: Service,
    family: AddressType,
    desired: _Desired,
    existing: list[EndpointSlice],
    policy: Policy,
) -> Packing:
    template = EndpointSlice(
        namespace=service.namespace,
        labels=slice_labels(service, policy.managed_by),
        address_type=family,
        ports=(),
        endpoints=(),
        owner_uid=service.uid,
    )
    packing = Packing()
    for ports in dict.fromkeys((*desired, *(one.ports for one in existing))):
        packing.extend(
            pack(
                [one for one in existing if one.ports == ports],
                desired.get(ports, {}),
                replace(template, ports=ports),
                policy.max_endpoints_per_slice,
            )
        )
    if not service.is_topology_aware:
        _refresh_hints(packing, service, desired)
    if not (packing.create or packing.update or packing.unchanged):
        _keep_place(packing, template)
    return packing


def _refresh_hints(packing: Packing, service: Service, desired: _Desired) -> None:
    """Turns slices whose hints alone are wrong into updates.

    With a known distribution, hints of endpoints that are not ready are no reason to write.
    """
    distributed = is_distributed(service.traffic_distribution)
    unchanged, packing.unchanged = packing.unchanged, []
    for one in unchanged:
        new = tuple(desired[one.ports][endpoint.identity] for endpoint in one.endpoints)
        if any(
            (after.ready or not distributed) and before.hints != after.hints
            for before, after in zip(one.endpoints, new, strict=True)
        ):
            packing.update.append(replace(one, endpoints=new))
        else:
            packing.unchanged.append(one)


def _keep_place(packing: Packing, placeholder: EndpointSlice) -> None:
    """Leaves one slice that says that there are no endpoints, instead of none at all."""
    equal = [
        one
        for one in packing.delete
        if (one.labels, one.ports, one.endpoints) == (placeholder.labels, (), ())
    ]
    packing.extent += Extent(ideal_slices=1)
    if equal:
        packing.unchanged.append(equal[0])
        packing.delete.remove(equal[0])
    else:
        packing.create.append(placeholder)


def _recycle(packing: Packing) -> None:
    """Gives slices that would be deleted the content of new ones: one write instead of two."""
    for old in list(packing.delete):
        new = next((one for one in packing.create if one.address_type == old.address_type), None)
        if new is not None:
            packing.create.remove(new)
            packing.delete.remove(old)
            packing.update.append(
                replace(old, labels=new.labels, ports=new.ports, endpoints=new.endpoints)
            )
