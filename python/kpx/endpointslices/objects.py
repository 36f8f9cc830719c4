"""Services, Pods and Nodes, reduced to what EndpointSlices are made from.

Converted once, where an object comes in: the rest of the package meets only these types.
"""

from collections.abc import Mapping
from dataclasses import dataclass
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

__all__ = ["ContainerPort", "Node", "ObjectInvalid", "Pod", "Service", "ServicePort"]

DEFAULT_NAMESPACE: Final = "default"
ZONE_LABEL: Final = "topology.kubernetes.io/zone"


@dataclass(frozen=True)
class ContainerPort:
    """A named port of a container."""

    name: str
    protocol: str
    number: int


@dataclass(frozen=True)
class Pod:
    """A Pod."""

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    addresses: tuple[str, ...]
    """`status.podIPs`, or `status.podIP` where that is all there is."""
    phase: str
    is_ready: bool
    """Whether the condition `Ready` is `True`."""
    is_deleted: bool
    """Whether a deletion timestamp is set."""
    node_name: str
    hostname: str
    subdomain: str
    ready_since: str
    """When the condition `Ready` last changed, RFC 3339; empty if it is not known."""
    ports: tuple[ContainerPort, ...]
    """Those of the containers, then those of sidecars (init containers that always restart)."""

    @classmethod
    def from_object(cls, pod: Object) -> "Pod":
        """Converts a decoded Pod.

        Raises:
            ObjectInvalid: A field that is used has the wrong type.
        """
        metadata, spec, status = (mapping(pod, part) for part in ("metadata", "spec", "status"))
        containers = mappings(spec, "containers")
        sidecars = [
            container
            for container in mappings(spec, "initContainers")
            if container.get("restartPolicy") == "Always"
        ]
        addresses = [text(address, "ip") for address in mappings(status, "podIPs")]
        ready: Object = next(
            (
                condition
                for condition in mappings(status, "conditions")
                if condition.get("type") == "Ready"
            ),
            {},
        )
        return cls(
            namespace=text(metadata, "namespace") or DEFAULT_NAMESPACE,
            name=text(metadata, "name"),
            uid=text(metadata, "uid"),
            labels=texts(metadata, "labels"),
            addresses=tuple(filter(None, addresses or [text(status, "podIP")])),
            phase=text(status, "phase"),
            is_ready=ready.get("status") == "True",
            is_deleted=bool(text(metadata, "deletionTimestamp")),
            node_name=text(spec, "nodeName"),
            hostname=text(spec, "hostname"),
            subdomain=text(spec, "subdomain"),
            ready_since=text(ready, "lastTransitionTime"),
            ports=tuple(
                ContainerPort(
                    name=text(port, "name"),
                    protocol=text(port, "protocol") or "TCP",
                    number=number(port, "containerPort"),
                )
                for container in (*containers, *sidecars)
                for port in mappings(container, "ports")
            ),
        )


@dataclass(frozen=True)
class ServicePort:
    """A port of a Service."""

    name: str
    protocol: str
    target: int | str
    """The port of the Pod: its number, or the name a container gives it."""
    app_protocol: str | None


@dataclass(frozen=True)
class Service:
    """A Service."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    type: str
    selector: Mapping[str, str] | None
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
        )


@dataclass(frozen=True)
class Node:
    """A Node."""

    name: str
    zone: str

    @classmethod
    def from_object(cls, node: Object) -> "Node":
        """Converts a decoded Node.

        Raises:
            ObjectInvalid: A field that is used has the wrong type.
        """
        metadata = mapping(node, "metadata")
        return cls(
            name=text(metadata, "name"),
            zone=texts(metadata, "labels").get(ZONE_LABEL, ""),
        )


def _target(port: Object) -> int | str:
    """`targetPort`, which the API server sets to `port` where it is left out, zero or empty."""
    target = port.get("targetPort")
    if isinstance(target, str):
        return target or number(port, "port")
    return number(port, "targetPort") or number(port, "port")
