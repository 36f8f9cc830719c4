"""The endpoint that stands for a Pod in an EndpointSlice.

The rules are those of `ShouldPodBeInEndpoints`, `podToEndpoint` and `ShouldSetHostname` upstream.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal, TypeAlias

from kpx._core import Pod
from kpx.endpointslices.hints import hints
from kpx.endpointslices.objects import Node, Service
from kpx.endpointslices.slices import Endpoint

__all__ = [
    "AddressType",
    "address_types",
    "endpoint",
    "family_of",
    "parse_address",
    "should_publish",
]

AddressType: TypeAlias = Literal["IPv4", "IPv6"]


def should_publish(pod: Pod) -> bool:
    """Whether a Pod has a place in slices: it may still serve, and it has an address.

    Pods that shut down stay, marked as terminating.
    """
    return not pod.is_terminal and pod.has_addresses


def address_types(service: Service) -> list[AddressType]:
    """The families a Service needs slices of.

    `ipFamilies` says so; the API server always fills it in, a manifest written by hand may not
    have it. Then a Service has the families of its cluster addresses, and a headless one has both.
    """
    if service.ip_families:
        return [family for family in ("IPv4", "IPv6") if family in service.ip_families]
    if service.is_headless:
        return ["IPv4", "IPv6"]
    families = [
        family_of(address) for text in service.cluster_ips if (address := parse_address(text))
    ]
    return list(dict.fromkeys(families))


def endpoint(pod: Pod, node: Node | None, service: Service, family: AddressType) -> Endpoint | None:
    """The endpoint of a Pod for a Service; `None` if the Pod has no address of the family.

    Args:
        pod: A Pod that should be published.
        node: The Node it runs on, if known.
        service: A Service that selects the Pod.
        family: The address family of the slice.
    """
    own_addresses = pod.addresses(family)
    if not own_addresses:
        return None
    serving, terminating = pod.is_ready, pod.is_deleted
    ready = service.publish_not_ready_addresses or (serving and not terminating)
    zone = node.zone if node is not None else ""
    # By topology mode, hints follow once all endpoints are known.
    is_hinted = ready and not service.is_topology_aware
    zone_hints, node_hints = (
        hints(service.traffic_distribution, zone, pod.node_name) if is_hinted else ((), ())
    )
    return Endpoint(
        addresses=tuple(own_addresses),
        ready=ready,
        serving=serving,
        terminating=terminating,
        pod_namespace=pod.namespace,
        pod_name=pod.name,
        pod_uid=pod.uid,
        hostname=pod.hostname if pod.subdomain == service.name else "",
        node_name=pod.node_name,
        zone=zone,
        zone_hints=zone_hints,
        node_hints=node_hints,
    )


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Reads an address as Go's `ParseIPSloppy` does: leading zeros of IPv4 are decimal."""
    if ":" not in text:
        text = ".".join(part.lstrip("0") or part[-1:] for part in text.split("."))
    try:
        return ip_address(text)
    except ValueError:
        return None


def family_of(address: IPv4Address | IPv6Address) -> AddressType:
    """The family of an address, in the words of EndpointSlices."""
    return "IPv4" if isinstance(address, IPv4Address) else "IPv6"
