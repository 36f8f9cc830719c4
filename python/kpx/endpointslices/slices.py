"""EndpointSlices and the endpoints in them, as records that compare by value.

Converted once, where an object comes in or goes out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from sys import intern
from typing import Any, Final, TypeAlias

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
from kpx.endpointslices.objects import Service
from kpx.endpointslices.ports import EndpointPort, PortMapKey, port_map_key

__all__ = [
    "HEADLESS_LABEL",
    "MANAGED_BY_LABEL",
    "SERVICE_NAME_LABEL",
    "TRIGGER_TIME_ANNOTATION",
    "Endpoint",
    "EndpointSlice",
    "Identity",
    "slice_labels",
]

SERVICE_NAME_LABEL: Final = "kubernetes.io/service-name"
MANAGED_BY_LABEL: Final = "endpointslice.kubernetes.io/managed-by"
HEADLESS_LABEL: Final = "service.kubernetes.io/headless"
TRIGGER_TIME_ANNOTATION: Final = "endpoints.kubernetes.io/last-change-trigger-time"

_RESERVED_LABELS: Final = frozenset((SERVICE_NAME_LABEL, MANAGED_BY_LABEL, HEADLESS_LABEL))

Identity: TypeAlias = tuple[tuple[str, ...], str, str, str]
"""What makes an endpoint the same one: addresses, host name, namespace and name of its Pod."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint: a Pod, as the clients of a Service see it."""

    addresses: tuple[str, ...]
    ready: bool | None
    serving: bool | None
    terminating: bool | None
    pod_namespace: str = ""
    pod_name: str = ""
    pod_uid: str = ""
    hostname: str = ""
    node_name: str = ""
    zone: str = ""
    zone_hints: tuple[str, ...] = ()
    node_hints: tuple[str, ...] = ()

    @property
    def identity(self) -> Identity:
        """Two Pods with one address are two endpoints (`endpointset.go` upstream)."""
        return self.addresses, self.hostname, self.pod_namespace, self.pod_name

    @property
    def hints(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """For which zones, and for which nodes, the endpoint is meant."""
        return self.zone_hints, self.node_hints

    def without_hints(self) -> "Endpoint":
        """The endpoint as clients see it that take no hints."""
        return replace(self, zone_hints=(), node_hints=())

    def to_object(self) -> dict[str, Any]:
        """The endpoint as an EndpointSlice holds it; what is empty is left out."""
        conditions = {
            "ready": self.ready,
            "serving": self.serving,
            "terminating": self.terminating,
        }
        written: dict[str, Any] = {
            "addresses": list(self.addresses),
            "conditions": {name: value for name, value in conditions.items() if value is not None},
        }
        if self.pod_name:
            written["targetRef"] = {
                "kind": "Pod",
                "namespace": self.pod_namespace,
                "name": self.pod_name,
            }
            if self.pod_uid:
                written["targetRef"]["uid"] = self.pod_uid
        optional = {"hostname": self.hostname, "nodeName": self.node_name, "zone": self.zone}
        written |= {name: value for name, value in optional.items() if value}
        hints = {"forZones": self.zone_hints, "forNodes": self.node_hints}
        if any(hints.values()):
            written["hints"] = {
                kind: [{"name": name} for name in names] for kind, names in hints.items() if names
            }
        return written

    @classmethod
    def from_object(cls, endpoint: Object) -> "Endpoint":
        """Converts a decoded endpoint.

        Raises:
            ObjectInvalid: A field that is used has the wrong type.
        """
        conditions = mapping(endpoint, "conditions")
        target = mapping(endpoint, "targetRef")
        hints = mapping(endpoint, "hints")
        return cls(
            addresses=tuple(sequence(endpoint, "addresses", str)),
            ready=get(conditions, "ready", bool, None),
            serving=get(conditions, "serving", bool, None),
            terminating=get(conditions, "terminating", bool, None),
            # Of these there are few, in many endpoints: one copy of each is kept.
            pod_namespace=intern(text(target, "namespace")),
            pod_name=text(target, "name"),
            pod_uid=text(target, "uid"),
            hostname=text(endpoint, "hostname"),
            node_name=intern(text(endpoint, "nodeName")),
            zone=intern(text(endpoint, "zone")),
            zone_hints=tuple(text(zone, "name") for zone in mappings(hints, "forZones")),
            node_hints=tuple(text(node, "name") for node in mappings(hints, "forNodes")),
        )


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """An EndpointSlice: one that exists, or one that should."""

    namespace: str
    labels: Mapping[str, str]
    address_type: str
    ports: PortMapKey
    endpoints: tuple[Endpoint, ...]
    name: str = ""
    """Empty for one that does not exist yet."""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    annotations: Mapping[str, str] = field(default_factory=dict)
    owner_kind: str = "Service"
    """What owns it: a Service, or Endpoints that it mirrors."""
    owner_uid: str = ""
    """The UID of its owner; empty if nothing owns it."""
    is_deleted: bool = False
    """Whether a deletion timestamp is set."""

    @property
    def service_name(self) -> str:
        """The name of the Service it belongs to."""
        return self.labels.get(SERVICE_NAME_LABEL, "")

    @property
    def managed_by(self) -> str:
        """Who makes it."""
        return self.labels.get(MANAGED_BY_LABEL, "")

    @classmethod
    def from_object(cls, endpoint_slice: Object) -> "EndpointSlice":
        """Converts a decoded EndpointSlice.

        Raises:
            ObjectInvalid: A field that is used has the wrong type.
        """
        metadata = mapping(endpoint_slice, "metadata")
        owner: Object = next(
            (
                owner
                for owner in mappings(metadata, "ownerReferences")
                if owner.get("apiVersion") == "v1" and owner.get("controller") is True
            ),
            {},
        )
        if not text(metadata, "name"):
            raise ObjectInvalid("`metadata.name` is missing")
        return cls(
            namespace=text(metadata, "namespace") or "default",
            name=text(metadata, "name"),
            uid=text(metadata, "uid"),
            resource_version=text(metadata, "resourceVersion"),
            generation=number(metadata, "generation"),
            labels=texts(metadata, "labels"),
            annotations=texts(metadata, "annotations"),
            owner_kind=text(owner, "kind") or "Service",
            owner_uid=text(owner, "uid"),
            is_deleted=bool(text(metadata, "deletionTimestamp")),
            address_type=text(endpoint_slice, "addressType"),
            ports=port_map_key(
                EndpointPort(
                    text(port, "name"),
                    text(port, "protocol") or "TCP",
                    number(port, "port"),
                    text(port, "appProtocol"),
                )
                for port in mappings(endpoint_slice, "ports")
            ),
            endpoints=tuple(map(Endpoint.from_object, mappings(endpoint_slice, "endpoints"))),
        )

    def to_object(self) -> dict[str, Any]:
        """The slice as the API server takes it; it chooses a name for one without."""
        metadata: dict[str, Any] = {"namespace": self.namespace}
        if self.name:
            metadata["name"] = self.name
        else:
            metadata["generateName"] = f"{self.service_name}-"
        if self.resource_version:
            metadata["resourceVersion"] = self.resource_version
        metadata["labels"] = dict(self.labels)
        if self.annotations:
            metadata["annotations"] = dict(self.annotations)
        if self.owner_uid:
            metadata["ownerReferences"] = [
                {
                    "apiVersion": "v1",
                    "kind": self.owner_kind,
                    "name": self.service_name,
                    "uid": self.owner_uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ]
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata,
            "addressType": self.address_type,
            "ports": [port.to_object() for port in self.ports],
            "endpoints": [endpoint.to_object() for endpoint in self.endpoints],
        }

    def triggered_at(self, time: str) -> "EndpointSlice":
        """The slice with the time of the change that led to it; an empty time removes it."""
        annotations = {
            name: value
            for name, value in self.annotations.items()
            if name != TRIGGER_TIME_ANNOTATION
        }
        if time:
            annotations[TRIGGER_TIME_ANNOTATION] = time
        return replace(self, annotations=annotations)


def slice_labels(service: Service, managed_by: str) -> dict[str, str]:
    """The Service's own labels and the reserved ones, which the Service cannot set."""
    labels = {name: value for name, value in service.labels.items() if name not in _RESERVED_LABELS}
    labels[SERVICE_NAME_LABEL] = service.name
    labels[MANAGED_BY_LABEL] = managed_by
    if service.is_headless:
        labels[HEADLESS_LABEL] = ""
    return labels
