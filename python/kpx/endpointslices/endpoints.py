"""The endpoint that stands for a Pod in an EndpointSlice.

The rules are those of `ShouldPodBeInEndpoints`, `podToEndpoint` and `ShouldSetHostname` upstream.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, Literal, TypeAlias

from kpx.endpointslices.objects import Node, Pod, Service

__all__ = ["AddressType", "address_types", "addresses", "endpoint", "should_publish"]

AddressType: TypeAlias = Literal["IPv4", "IPv6"]

_TERMINAL_PHASES: Final = ("Succeeded", "Failed")


def should_publish(pod: Pod) -> bool:
    """Whether a Pod has a place in slices: it may still serve, and it has an address.

    Pods that shut down stay, marked as terminating.
    """
    return pod.phase not in _TERMINAL_PHASES and bool(pod.addresses)


def address_types(service: Service) -> list[AddressType]:
    """The families a Service needs slices of.

    `ipFamilies` says so; the API server always fills it in, a manifest written by hand may not
    have it. Then a Service has the families of its cluster addresses, and a headless one has both.
    """
    if service.ip_families:
        return [family for family in ("IPv4", "IPv6") if family in service.ip_families]
    if service.is_headless:
        return ["IPv4", "IPv6"]
    families = [_family(address) for text in service.cluster_ips if (address := _parse(text))]
    return list(dict.fromkeys(families))


def addresses(pod: Pod, family: AddressType) -> list[str]:
    """The addresses of a Pod that are of a family, in canonical form."""
    parsed = [address for text in pod.addresses if (address := _parse(text))]
    return [str(address) for address in parsed if _family(address) == family]


def endpoint(
    pod: Pod, node: Node | None, service: Service, family: AddressType
) -> dict[str, Any] | None:
    """The endpoint of a Pod for a Service; `None` if the Pod has no address of the family.

    Args:
        pod: A Pod that should be published.
        node: The Node it runs on, if known.
        service: A Service that selects the Pod.
        family: The address family of the slice.
    """
    own_addresses = addresses(pod, family)
    if not own_addresses:
        return None
    serving, terminating = pod.is_ready, pod.is_deleted
    published: dict[str, Any] = {
        "addresses": own_addresses,
        "conditions": {
            "ready": service.publish_not_ready_addresses or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": _reference(pod),
    }
    if pod.hostname and pod.subdomain == service.name and pod.namespace == service.namespace:
        published["hostname"] = pod.hostname
    if pod.node_name:
        published["nodeName"] = pod.node_name
    if node is not None and node.zone:
        published["zone"] = node.zone
    return published


def _reference(pod: Pod) -> dict[str, str]:
    reference = {"kind": "Pod", "namespace": pod.namespace, "name": pod.name}
    if pod.uid:
        reference["uid"] = pod.uid
    return reference


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Reads an address as Go's `ParseIPSloppy` does: leading zeros of IPv4 are decimal."""
    if ":" not in text:
        text = ".".join(part.lstrip("0") or part[-1:] for part in text.split("."))
    try:
        return ip_address(text)
    except ValueError:
        return None


def _family(address: IPv4Address | IPv6Address) -> AddressType:
    return "IPv4" if isinstance(address, IPv4Address) else "IPv6"
