"""Slices that mirror hand-made Endpoints of a Service without a selector.

The rules are those of the EndpointSlice mirroring controller upstream
(`pkg/controller/endpointslicemirroring`). What clients read is the slices alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from kpx.endpointslices.endpoints import family_of, parse_address
from kpx.endpointslices.fields import Object, mapping, mappings, number, text, texts
from kpx.endpointslices.objects import Service
from kpx.endpointslices.packing import NOTHING, Extent, Packing, pack
from kpx.endpointslices.ports import EndpointPort, PortMapKey, port_map_key
from kpx.endpointslices.slices import (
    MANAGED_BY_LABEL,
    SERVICE_NAME_LABEL,
    TRIGGER_TIME_ANNOTATION,
    Endpoint,
    EndpointSlice,
    Identity,
)
from kpx.endpointslices.writes import SlicePlan, ordered

__all__ = ["MAX_ADDRESSES_PER_SUBSET", "Endpoints", "Mirroring", "mirror", "mirroring_managed_by"]

MAX_ADDRESSES_PER_SUBSET: Final = 1000
"""How many addresses of one subset are mirrored."""

SKIP_LABEL: Final = "endpointslice.kubernetes.io/skip-mirror"
LEADER_ANNOTATION: Final = "control-plane.alpha.kubernetes.io/leader"

_ANNOTATIONS_KEPT_BACK: Final = (
    TRIGGER_TIME_ANNOTATION,
    "kubectl.kubernetes.io/last-applied-configuration",
)


@dataclass(frozen=True)
class Subset:
    """Addresses that have the same ports."""

    addresses: tuple[tuple[str, Endpoint], ...]
    """As written, each with the endpoint it stands for; the ready ones first."""
    ports: PortMapKey


@dataclass(frozen=True)
class Endpoints:
    """The Endpoints that somebody made by hand for the Service of the same name."""

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    subsets: tuple[Subset, ...]

    @classmethod
    def from_object(cls, endpoints: Object) -> "Endpoints":
        """Converts decoded Endpoints.

        Raises:
            ObjectInvalid: A field that is used has the wrong type.
        """
        metadata = mapping(endpoints, "metadata")
        return cls(
            namespace=text(metadata, "namespace") or "default",
            name=text(metadata, "name"),
            uid=text(metadata, "uid"),
            labels=texts(metadata, "labels"),
            annotations=texts(metadata, "annotations"),
            subsets=tuple(map(_subset, mappings(endpoints, "subsets"))),
        )


@dataclass(frozen=True)
class LeftOut:
    """Addresses that are not mirrored."""

    reason: str
    """In one word, as upstream's Events have it."""
    message: str
    addresses: int = 1
    """How many."""


@dataclass(frozen=True)
class Mirroring:
    """What `mirror` found."""

    plan: SlicePlan
    slices: tuple[EndpointSlice, ...]
    """The slices there are once the plan is carried out; new ones have no name yet."""
    left_out: tuple[LeftOut, ...] = ()
    extent: Extent = NOTHING


def mirroring_managed_by(managed_by: str) -> str:
    """The label of mirrored slices that belongs to a label of slices made from Pods."""
    ours, theirs = "endpointslice-controller", "endpointslicemirroring-controller"
    if managed_by.startswith(ours):
        return theirs + managed_by.removeprefix(ours)
    return f"{managed_by}-mirroring"


def is_for_leader_election(annotations: Mapping[str, str]) -> bool:
    """Whether Endpoints with these annotations are the lock of a leader election of old."""
    return LEADER_ANNOTATION in annotations


class Described(Protocol):
    """Endpoints, in whatever form they are kept."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Their labels."""

    @property
    def annotations(self) -> Mapping[str, str]:
        """Their annotations."""


def is_mirrored(endpoints: Described, service: Service | None) -> bool:
    """Whether Endpoints are to be mirrored.

    They are not without a Service, if it has a selector, if a label says so, or if a leader
    election of old uses them.
    """
    return (
        service is not None
        and service.selector is None
        and endpoints.labels.get(SKIP_LABEL) != "true"
        and not is_for_leader_election(endpoints.annotations)
    )


def mirror(
    endpoints: Endpoints,
    service: Service | None,
    existing: Iterable[EndpointSlice],
    managed_by: str,
) -> Mirroring:
    """Compares mirrored slices with what they should be.

    Args:
        endpoints: The Endpoints.
        service: The Service of that name, if there is one.
        existing: The slices with the label of mirrored ones and the name of the Service.
        managed_by: That label, from `mirroring_managed_by`.
    """
    owned = [one for one in existing if not one.is_deleted]
    desired: dict[tuple[str, PortMapKey], dict[Identity, Endpoint]] = {}
    left_out: tuple[LeftOut, ...] = ()
    if is_mirrored(endpoints, service):
        desired, left_out = _desired(endpoints)
    template = EndpointSlice(
        namespace=endpoints.namespace,
        labels={
            **endpoints.labels,
            SERVICE_NAME_LABEL: endpoints.name,
            MANAGED_BY_LABEL: managed_by,
        },
        annotations={
            name: value
            for name, value in endpoints.annotations.items()
            if name not in _ANNOTATIONS_KEPT_BACK
        },
        address_type="",
        ports=(),
        endpoints=(),
        owner_kind="Endpoints",
        owner_uid=endpoints.uid,
    )
    packing = Packing()
    for group in dict.fromkeys((*desired, *((one.address_type, one.ports) for one in owned))):
        family, ports = group
        packing.extend(
            pack(
                [one for one in owned if (one.address_type, one.ports) == group],
                desired.get(group, {}),
                replace(template, address_type=family, ports=ports),
                MAX_ADDRESSES_PER_SUBSET,
            )
        )
    plan = ordered(packing.create, packing.update, packing.delete, {one.name: one for one in owned})
    slices = (*plan.create, *plan.update, *packing.unchanged)
    return Mirroring(plan, slices, left_out, packing.extent)


def _desired(
    endpoints: Endpoints,
) -> tuple[dict[tuple[str, PortMapKey], dict[Identity, Endpoint]], tuple[LeftOut, ...]]:
    desired: dict[tuple[str, PortMapKey], dict[Identity, Endpoint]] = {}
    left_out: list[LeftOut] = []
    for position, subset in enumerate(endpoints.subsets):
        if (extra := len(subset.addresses) - MAX_ADDRESSES_PER_SUBSET) > 0:
            message = f"subsets[{position}]: {extra} addresses too many to mirror"
            left_out.append(LeftOut("TooManyAddressesToMirror", message, extra))
        for written, endpoint in subset.addresses[:MAX_ADDRESSES_PER_SUBSET]:
            parsed = parse_address(written)
            if parsed is None:
                message = f"subsets[{position}]: `{written}` is no IP address"
                left_out.append(LeftOut("InvalidIPAddress", message))
                continue
            mirrored = replace(endpoint, addresses=(str(parsed),))
            group = desired.setdefault((family_of(parsed), subset.ports), {})
            # Somebody may have listed an address both ways; it is then not ready.
            if mirrored.identity not in group or not mirrored.ready:
                group[mirrored.identity] = mirrored
    return desired, tuple(left_out)


def _subset(subset: Object) -> Subset:
    return Subset(
        addresses=tuple(
            (text(address, "ip"), _endpoint(address, ready))
            for key, ready in (("addresses", True), ("notReadyAddresses", False))
            for address in mappings(subset, key)
        ),
        ports=port_map_key(
            EndpointPort(
                text(port, "name"),
                text(port, "protocol") or "TCP",
                number(port, "port"),
                text(port, "appProtocol"),
            )
            for port in mappings(subset, "ports")
        ),
    )


def _endpoint(address: Object, ready: bool) -> Endpoint:
    target: Any = mapping(address, "targetRef")
    is_pod = text(target, "kind") == "Pod"
    return Endpoint(
        addresses=(),
        ready=ready,
        serving=None,
        terminating=None,
        pod_namespace=text(target, "namespace") if is_pod else "",
        pod_name=text(target, "name") if is_pod else "",
        pod_uid=text(target, "uid") if is_pod else "",
        hostname=text(address, "hostname"),
        node_name=text(address, "nodeName"),
    )
