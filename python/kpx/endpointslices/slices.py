"""The EndpointSlices a Service should have."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kpx.endpointslices.endpoints import AddressType, address_types, endpoint, should_publish
from kpx.endpointslices.objects import Node, Pod, Service
from kpx.endpointslices.ports import PortMapKey, endpoint_ports, port_map_key

__all__ = ["MAX_ENDPOINTS_PER_SLICE", "DesiredSlices", "desired_slices"]

MAX_ENDPOINTS_PER_SLICE: Final = 100
"""The default of the controller's `--max-endpoints-per-slice`."""

SERVICE_NAME_LABEL: Final = "kubernetes.io/service-name"
MANAGED_BY_LABEL: Final = "endpointslice.kubernetes.io/managed-by"
HEADLESS_LABEL: Final = "service.kubernetes.io/headless"
MANAGED_BY: Final = "endpointslice-controller.kpx.dev"

_RESERVED_LABELS: Final = frozenset((SERVICE_NAME_LABEL, MANAGED_BY_LABEL, HEADLESS_LABEL))


@dataclass(frozen=True)
class DesiredSlices:
    """What `desired_slices` computed."""

    slices: list[dict[str, Any]] = field(default_factory=list)
    """EndpointSlices, grouped by family and ports."""
    without_node: list[Pod] = field(default_factory=list)
    """Pods left out because the Node they run on is not known."""


def desired_slices(
    service: Service, pods: Iterable[Pod], nodes: Mapping[str, Node] | None
) -> DesiredSlices:
    """Computes the slices of one Service.

    Args:
        service: The Service. One without a selector, or of type `ExternalName`, has no slices.
        pods: The Pods it selects.
        nodes: The Nodes by name. A Pod on a Node that is not among them is left out, as the
            controller does, unless the Service publishes Pods that are not ready. `None` says that
            nothing is known of Nodes: Pods are then published without a zone.
    """
    desired = DesiredSlices()
    if service.selector is None or service.type == "ExternalName":
        return desired
    families = address_types(service)
    groups: dict[tuple[AddressType, PortMapKey], list[dict[str, Any]]] = defaultdict(list)
    for pod in filter(should_publish, pods):
        ports = port_map_key(endpoint_ports(service, pod))
        node = nodes.get(pod.node_name) if nodes else None
        unknown_node = nodes is not None and bool(pod.node_name) and node is None
        if unknown_node and not service.publish_not_ready_addresses:
            desired.without_node.append(pod)
            continue
        for family in families:
            published = endpoint(pod, node, service, family)
            if published is not None:
                groups[family, ports].append(published)
    for family in families:
        packed = [
            (ports, endpoints[start : start + MAX_ENDPOINTS_PER_SLICE])
            for (group_family, ports), endpoints in groups.items()
            if group_family == family
            for start in range(0, len(endpoints), MAX_ENDPOINTS_PER_SLICE)
        ]
        # A family without endpoints has one slice that says so.
        for number, (ports, endpoints) in enumerate(packed or [((), [])]):
            name = f"{service.name}-{family.lower()}-{number}"
            desired.slices.append(_slice(service, name, family, ports, endpoints))
    return desired


def _slice(
    service: Service,
    name: str,
    family: AddressType,
    ports: PortMapKey,
    endpoints: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"namespace": service.namespace, "name": name, "labels": _labels(service)},
        "addressType": family,
        "ports": [port.to_object() for port in ports],
        "endpoints": endpoints,
    }


def _labels(service: Service) -> dict[str, str]:
    """The Service's own labels and the reserved ones, which the Service cannot set."""
    labels = {name: value for name, value in service.labels.items() if name not in _RESERVED_LABELS}
    labels[SERVICE_NAME_LABEL] = service.name
    labels[MANAGED_BY_LABEL] = MANAGED_BY
    if service.is_headless:
        labels[HEADLESS_LABEL] = ""
    return labels
