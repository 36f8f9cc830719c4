"""Services and Nodes, reduced to what EndpointSlices are made from.

Converted once, where an object comes in: the rest of the package meets only these types, and the
Pods of the core, of which there are too many for that.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from typing import Final

from kpx.endpointslices.fields import (
    Object,
    ObjectInvalid,
    get,
    mapping,
    mappings,
    number,
    sequence,
    text,
    texts,
)

__all__ = ["Node", "ObjectInvalid", "Service", "ServicePort"]

DEFAULT_NAMESPACE: Final = "default"
ZONE_LABEL: Final = "topology.kubernetes.io/zone"
_CONTROL_PLANE_LABELS: Final = (
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
)
_TOPOLOGY_ANNOTATIONS: Final = (
    "service.kubernetes.io/topology-aware-hints",
    "service.kubernetes.io/topology-mode",
)
"""The deprecated one counts if both are there, as upstream."""

_QUANTITY: Final = re.compile(r"(\d+\.?\d*|\.\d+)(n|u|m||k|M|G|Ki|Mi|Gi|[eE][-+]?\d{1,2})")
_SUFFIXES: Final = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "Ki": Decimal(1 << 10),
    "Mi": Decimal(1 << 20),
    "Gi": Decimal(1 << 30),
}


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service."""

    name: str
    protocol: str
    target: int | str
    """The port of the Pod: its number, or the name a container gives it."""
    app_protocol: str | None


@dataclass(frozen=True, slots=True)
class Service:
    """A Service."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    type: str
    selector: dict[str, str] | None
    cluster_ips: tuple[str, ...]
    """Empty, or `("None",)`, for a headless Service."""
    ip_families: tuple[str, ...]
    publish_not_ready_addresses: bool
    ports: tuple[ServicePort, ...]
    uid: str = ""
    created: str = ""
    """When it was created, RFC 3339."""
    is_deleted: bool = False
    """Whether a deletion timestamp is set."""
    traffic_distribution: str = ""
    is_topology_aware: bool = False
    """Whether an annotation asks for hints by the CPUs of zones (KEP-2433)."""

    @property
    def is_headless(self) -> bool:
        """Whether it has no address of its own."""
        return self.cluster_ips in ((), ("None",))

    @classmethod
    def from_object(cls, service: Object) -> "Service":
        """Converts a decoded Service.

        Raises:
            ObjectInvalid: A field that is used has the wrong type.
        """
        metadata, spec = mapping(service, "metadata"), mapping(service, "spec")
        cluster_ips = sequence(spec, "clusterIPs", str) or [text(spec, "clusterIP")]
        return cls(
            namespace=text(metadata, "namespace") or DEFAULT_NAMESPACE,
            name=text(metadata, "name"),
            labels=texts(metadata, "labels"),
            type=text(spec, "type") or "ClusterIP",
            selector=texts(spec, "selector") if spec.get("selector") is not None else None,
            cluster_ips=tuple(filter(None, cluster_ips)),
            ip_families=tuple(sequence(spec, "ipFamilies", str)),
            publish_not_ready_addresses=get(spec, "publishNotReadyAddresses", bool, False),
            ports=tuple(
                ServicePort(
                    name=text(port, "name"),
                    protocol=text(port, "protocol") or "TCP",
                    target=_target(port),
                    app_protocol=text(port, "appProtocol") or None,
                )
                for port in mappings(spec, "ports")
            ),
            uid=text(metadata, "uid"),
            created=text(metadata, "creationTimestamp"),
            is_deleted=bool(text(metadata, "deletionTimestamp")),
            traffic_distribution=text(spec, "trafficDistribution"),
            is_topology_aware=_is_topology_aware(texts(metadata, "annotations")),
        )


@dataclass(frozen=True, slots=True)
class Node:
    """A Node."""

    name: str
    zone: str
    is_ready: bool = False
    """Whether the condition `Ready` is `True`."""
    is_control_plane: bool = False
    """Whether it has the label of the control plane, and serves no Pods of others."""
    cpu_millis: int = 0
    """How many thousandths of a CPU it has for Pods (`status.allocatable`)."""

    @classmethod
    def from_object(cls, node: Object) -> "Node":
        """Converts a decoded Node.

        Raises:
            ObjectInvalid: A field that is used has the wrong type.
        """
        metadata, status = mapping(node, "metadata"), mapping(node, "status")
        labels = texts(metadata, "labels")
        return cls(
            name=text(metadata, "name"),
            zone=labels.get(ZONE_LABEL, ""),
            is_ready=any(
                one.get("type") == "Ready" and one.get("status") == "True"
                for one in mappings(status, "conditions")
            ),
            is_control_plane=any(label in labels for label in _CONTROL_PLANE_LABELS),
            cpu_millis=_millis(mapping(status, "allocatable").get("cpu")),
        )


def _target(port: Object) -> int | str:
    """`targetPort`, which the API server sets to `port` where it is left out, zero or empty."""
    target = port.get("targetPort")
    if isinstance(target, str):
        return target or number(port, "port")
    return number(port, "targetPort") or number(port, "port")


def _is_topology_aware(annotations: Mapping[str, str]) -> bool:
    said = next((annotations[name] for name in _TOPOLOGY_ANNOTATIONS if name in annotations), "")
    return said in ("Auto", "auto")


def _millis(quantity: object) -> int:
    """Thousandths of a quantity (apimachinery's `resource.Quantity`), rounded up; 0 if it is none.

    What cannot be read is as good as not there: it takes hints away, and no Node.
    """
    read = _QUANTITY.fullmatch(str(quantity))
    if read is None:
        return 0
    number, suffix = read.groups()
    factor = _SUFFIXES.get(suffix) or Decimal(f"1{suffix}")
    return int((Decimal(number[:30]) * factor * 1000).to_integral_value(ROUND_UP))
