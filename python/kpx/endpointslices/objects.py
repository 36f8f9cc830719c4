"""Services, Pods and Nodes, reduced to what EndpointSlices are made from.

Converted once, where an object comes in: the rest of the package meets only these types.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from kpx.errors import KpxError

__all__ = ["ContainerPort", "Node", "ObjectInvalid", "Pod", "Service", "ServicePort"]

DEFAULT_NAMESPACE: Final = "default"
ZONE_LABEL: Final = "topology.kubernetes.io/zone"

Object = Mapping[str, Any]
"""A decoded JSON object, of which nothing is known yet."""

_T = TypeVar("_T")


class ObjectInvalid(KpxError):
    """A field of an object has a type it cannot have. The message names the field."""


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
    ports: tuple[ContainerPort, ...]
    """Those of the containers, then those of sidecars (init containers that always restart)."""

    @classmethod
    def from_object(cls, pod: Object) -> "Pod":
        """Converts a decoded Pod.

        Raises:
            ObjectInvalid: A field that is used has the wrong type.
        """
        metadata, spec, status = (_mapping(pod, part) for part in ("metadata", "spec", "status"))
        containers = _mappings(spec, "containers")
        sidecars = [
            container
            for container in _mappings(spec, "initContainers")
            if container.get("restartPolicy") == "Always"
        ]
        addresses = [_text(address, "ip") for address in _mappings(status, "podIPs")]
        return cls(
            namespace=_text(metadata, "namespace") or DEFAULT_NAMESPACE,
            name=_text(metadata, "name"),
            uid=_text(metadata, "uid"),
            labels=_texts(metadata, "labels"),
            addresses=tuple(filter(None, addresses or [_text(status, "podIP")])),
            phase=_text(status, "phase"),
            is_ready=any(
                condition.get("type") == "Ready" and condition.get("status") == "True"
                for condition in _mappings(status, "conditions")
            ),
            is_deleted=bool(_text(metadata, "deletionTimestamp")),
            node_name=_text(spec, "nodeName"),
            hostname=_text(spec, "hostname"),
            subdomain=_text(spec, "subdomain"),
            ports=tuple(
                ContainerPort(
                    name=_text(port, "name"),
                    protocol=_text(port, "protocol") or "TCP",
                    number=_number(port, "containerPort"),
                )
                for container in (*containers, *sidecars)
                for port in _mappings(container, "ports")
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
        metadata, spec = _mapping(service, "metadata"), _mapping(service, "spec")
        cluster_ips = _list(spec, "clusterIPs", str) or [_text(spec, "clusterIP")]
        return cls(
            namespace=_text(metadata, "namespace") or DEFAULT_NAMESPACE,
            name=_text(metadata, "name"),
            labels=_texts(metadata, "labels"),
            type=_text(spec, "type") or "ClusterIP",
            selector=_texts(spec, "selector") if spec.get("selector") is not None else None,
            cluster_ips=tuple(filter(None, cluster_ips)),
            ip_families=tuple(_list(spec, "ipFamilies", str)),
            publish_not_ready_addresses=_get(spec, "publishNotReadyAddresses", bool, False),
            ports=tuple(
                ServicePort(
                    name=_text(port, "name"),
                    protocol=_text(port, "protocol") or "TCP",
                    target=_target(port),
                    app_protocol=_text(port, "appProtocol") or None,
                )
                for port in _mappings(spec, "ports")
            ),
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
        metadata = _mapping(node, "metadata")
        return cls(
            name=_text(metadata, "name"),
            zone=_texts(metadata, "labels").get(ZONE_LABEL, ""),
        )


def _target(port: Object) -> int | str:
    """`targetPort`, which the API server sets to `port` where it is left out, zero or empty."""
    target = port.get("targetPort")
    if isinstance(target, str):
        return target or _number(port, "port")
    return _number(port, "targetPort") or _number(port, "port")


def _get(parent: Object, key: str, kind: type[_T], default: _T) -> _T:
    """The value of a field; a field that is null is a field that is not there."""
    value = parent.get(key)
    if value is None:
        return default
    # A boolean is an int to Python, but never where the API wants a number.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ObjectInvalid(f"`{key}` is a {type(value).__name__}, not a {kind.__name__}")
    return value


def _text(parent: Object, key: str) -> str:
    return _get(parent, key, str, "")


def _number(parent: Object, key: str) -> int:
    return _get(parent, key, int, 0)


def _mapping(parent: Object, key: str) -> Object:
    return _get(parent, key, dict, {})


def _texts(parent: Object, key: str) -> dict[str, str]:
    texts = _get(parent, key, dict, {})
    for name in texts:
        _text(texts, name)
    return texts


def _list(parent: Object, key: str, kind: type[_T]) -> list[_T]:
    values = _get(parent, key, list, [])
    for value in values:
        if not isinstance(value, kind):
            raise ObjectInvalid(f"`{key}` holds a {type(value).__name__}, not a {kind.__name__}")
    return values


def _mappings(parent: Object, key: str) -> list[dict[str, Any]]:
    return _list(parent, key, dict)
