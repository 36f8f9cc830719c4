"""A cluster whose Services use all that Services can: of each hundred, ten have node ports and an
external policy `Local`, ten are load balancers with node ports, five of which have source ranges,
five keep clients to an endpoint, and twenty have both families.
"""

import ipaddress
from collections.abc import Iterable
from typing import Any

from . import cases

_FIRST_LOAD_BALANCER = ipaddress.IPv4Address("203.0.0.10")
_FIRST_CLUSTER_IPV6 = ipaddress.IPv6Address("fd00:10::10")
_FIRST_POD_IPV6 = ipaddress.IPv6Address("fd00:128::1")
_FIRST_NODE_PORT = 30_000
NODE_PORTS = 2_768
"""How many node ports there are: of a larger cluster the rest of the Services go without."""


def service_object(service: int) -> dict[str, Any]:
    """Returns a Service as the API server lists it."""
    made = cases.service_object(service)
    spec = made["spec"]
    ordinal, place = divmod(service, 100)
    node_port = ordinal * 20 + place
    if place < 20 and node_port < NODE_PORTS:
        spec["type"] = "NodePort" if place < 10 else "LoadBalancer"
        spec["ports"][0]["nodePort"] = _FIRST_NODE_PORT + node_port
    if place < 10:
        spec["externalTrafficPolicy"] = "Local"
    elif place < 20:
        address = str(_FIRST_LOAD_BALANCER + service)
        made["status"]["loadBalancer"] = {"ingress": [{"ip": address}]}
    if 10 <= place < 15:
        spec["loadBalancerSourceRanges"] = ["192.0.2.0/24", "198.51.100.0/25", "10.0.0.0/8"]
    if 20 <= place < 25:
        spec["sessionAffinity"] = "ClientIP"
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 10800}}
    if place >= 80:
        spec["clusterIPs"].append(str(_FIRST_CLUSTER_IPV6 + service))
        spec["ipFamilies"] = ["IPv4", "IPv6"]
        spec["ipFamilyPolicy"] = "RequireDualStack"
    return made


def slice_objects(service: int, endpoints: int) -> list[dict[str, Any]]:
    """Returns the EndpointSlices of a Service, one a family."""
    slices = [cases.slice_object(service, endpoints)]
    if service % 100 >= 80:
        second = cases.slice_object(service, endpoints)
        second["metadata"]["name"] += "-ipv6"
        second["addressType"] = "IPv6"
        for number, endpoint in enumerate(second["endpoints"]):
            endpoint["addresses"] = [str(_FIRST_POD_IPV6 + service * endpoints + number)]
        slices.append(second)
    return slices


def lists(services: Iterable[int], endpoints: int) -> tuple[bytes, bytes]:
    """Returns the ServiceList and the EndpointSliceList of some Services."""
    numbers = list(services)
    slices = [made for number in numbers for made in slice_objects(number, endpoints)]
    return cases.pages([service_object(number) for number in numbers], slices)
