"""The Endpoints of a Service, for clients that do not read EndpointSlices yet.

The rules are those of `endpoints_controller.go` upstream and of `RepackSubsets`. Subsets are sorted
by what they hold; upstream sorts them by a hash, which no client can rely on.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from kpx._core import Pod
from kpx.endpointslices.endpoints import address_types, should_publish
from kpx.endpointslices.fields import Object, mapping, mappings, text, texts
from kpx.endpointslices.objects import Service
from kpx.endpointslices.ports import EndpointPort, endpoint_ports
from kpx.endpointslices.slices import HEADLESS_LABEL

__all__ = [
    "MAX_ADDRESSES",
    "OVER_CAPACITY_ANNOTATION",
    "is_from_pods",
    "is_up_to_date",
    "legacy_endpoints",
]

MAX_ADDRESSES: Final = 1000
"""How many addresses Endpoints may have."""

OVER_CAPACITY_ANNOTATION: Final = "endpoints.kubernetes.io/over-capacity"
_MANAGED_BY_LABEL: Final = "endpoints.kubernetes.io/managed-by"
_MANAGED_BY: Final = "endpoint-controller"

_Address = tuple[str, str, str, str, str]
"""IP, Pod UID, Pod name, host name, node name."""

_Ports = tuple[EndpointPort, ...]
_Subset = tuple[list[_Address], list[_Address], _Ports]
"""Ready addresses, those that are not, and the ports they have in common."""


def legacy_endpoints(service: Service, pods: Iterable[Pod]) -> dict[str, Any]:
    """Computes the Endpoints of a Service that has a selector.

    Args:
        service: The Service. Only the first of its families is published.
        pods: The Pods it selects. Those that shut down are left out, unless the Service publishes
            Pods that are not ready.
    """
    by_port: dict[EndpointPort | None, dict[tuple[str, str], tuple[_Address, bool]]]
    by_port = defaultdict(dict)
    family = next(iter(service.ip_families or address_types(service)), "IPv4")
    for pod in filter(should_publish, pods):
        if pod.is_deleted and not service.publish_not_ready_addresses:
            continue
        own = pod.addresses(family)
        if not own:
            continue
        hostname = pod.hostname if pod.subdomain == service.name else ""
        address = (own[0], pod.uid, pod.name, hostname, pod.node_name)
        ready = service.publish_not_ready_addresses or pod.is_ready
        ports: list[EndpointPort | None] = [*endpoint_ports(service, pod)]
        if service.is_headless and not service.ports:
            ports = [None]
        for port in ports:
            known = by_port[port].get(address[:2])
            # For one port an address that is also not ready is not ready.
            by_port[port][address[:2]] = (address, ready and (known is None or known[1]))
    subsets, truncated = _truncated(_repacked(by_port))
    return _object(service, subsets, truncated)


def is_up_to_date(current: Object, desired: Object) -> bool:
    """Whether Endpoints that exist say what they should, so that no write is needed.

    Compared are subsets, in whatever order, labels and the annotation about capacity. The versions
    of Pods that others have noted do not count.
    """
    before, after = mapping(current, "metadata"), mapping(desired, "metadata")
    capacity = [texts(one, "annotations").get(OVER_CAPACITY_ANNOTATION) for one in (before, after)]
    return (
        texts(before, "labels") == texts(after, "labels")
        and capacity[0] == capacity[1]
        and _canonical(current) == _canonical(desired)
    )


def is_from_pods(current: Object) -> bool:
    """Whether Endpoints are as this controller, or upstream's, makes them: nothing by hand."""
    return texts(mapping(current, "metadata"), "labels").get(
        _MANAGED_BY_LABEL
    ) == _MANAGED_BY and all(
        text(mapping(address, "targetRef"), "kind") == "Pod"
        for subset in mappings(current, "subsets")
        for key in ("addresses", "notReadyAddresses")
        for address in mappings(subset, key)
    )


def _canonical(endpoints: Object) -> list[str]:
    """The subsets in one order, as text."""

    def written(one: Object) -> str:
        target = {
            name: value
            for name, value in mapping(one, "targetRef").items()
            if name != "resourceVersion"
        }
        return json.dumps({**one, "targetRef": target}, sort_keys=True)

    return sorted(
        json.dumps(
            [
                sorted(map(written, mappings(subset, key)))
                for key in ("addresses", "notReadyAddresses", "ports")
            ]
        )
        for subset in mappings(endpoints, "subsets")
    )


def _repacked(
    by_port: dict[EndpointPort | None, dict[tuple[str, str], tuple[_Address, bool]]],
) -> list[_Subset]:
    """One subset for all ports that have the same addresses."""
    ports_of: dict[tuple[tuple[_Address, bool], ...], list[EndpointPort]] = defaultdict(list)
    for port, known in by_port.items():
        ports_of[tuple(sorted(known.values()))] += [port] if port else []
    return sorted(
        (
            [address for address, ready in members if ready],
            [address for address, ready in members if not ready],
            tuple(sorted(ports)),
        )
        for members, ports in ports_of.items()
    )


def _truncated(subsets: list[_Subset]) -> tuple[list[_Subset], bool]:
    """Keeps as many addresses as Endpoints may have, ready ones first, some of each subset."""
    ready_count = sum(len(ready) for ready, _, _ in subsets)
    not_ready_count = sum(len(not_ready) for _, not_ready, _ in subsets)
    if ready_count + not_ready_count <= MAX_ADDRESSES:
        return subsets, False
    is_ready_cut = ready_count > MAX_ADDRESSES
    allowed = MAX_ADDRESSES if is_ready_cut else MAX_ADDRESSES - ready_count
    left, total = allowed, ready_count if is_ready_cut else not_ready_count
    kept: list[_Subset] = []
    for ready, not_ready, ports in subsets:
        cut = ready if is_ready_cut else not_ready
        part = min(left, -(-len(cut) * allowed // total))
        left -= part
        subset = (ready[:part], []) if is_ready_cut else (ready, not_ready[:part])
        if any(subset):
            kept.append((*subset, ports))
    return kept, True


def _object(service: Service, subsets: list[_Subset], truncated: bool) -> dict[str, Any]:
    labels = {**service.labels, _MANAGED_BY_LABEL: _MANAGED_BY}
    labels.pop(HEADLESS_LABEL, None)
    if service.is_headless:
        labels[HEADLESS_LABEL] = ""
    metadata: dict[str, Any] = {
        "namespace": service.namespace,
        "name": service.name,
        "labels": labels,
    }
    if truncated:
        metadata["annotations"] = {OVER_CAPACITY_ANNOTATION: "truncated"}
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": metadata,
        "subsets": [
            {
                name: values
                for name, values in (
                    ("addresses", [_address(service, one) for one in ready]),
                    ("notReadyAddresses", [_address(service, one) for one in not_ready]),
                    ("ports", [_port(port) for port in ports]),
                )
                if values
            }
            for ready, not_ready, ports in subsets
        ],
    }


def _address(service: Service, address: _Address) -> dict[str, Any]:
    ip, uid, name, hostname, node_name = address
    written: dict[str, Any] = {"ip": ip}
    if hostname:
        written["hostname"] = hostname
    if node_name:
        written["nodeName"] = node_name
    target = {"kind": "Pod", "namespace": service.namespace, "name": name}
    written["targetRef"] = {**target, "uid": uid} if uid else target
    return written


def _port(port: EndpointPort) -> dict[str, Any]:
    written = port.to_object()
    if not port.name:
        # Unlike a slice, Endpoints leave the name of an unnamed port out.
        del written["name"]
    return written
