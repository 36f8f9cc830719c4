"""Clusters of any size, as an API server would list them.

A Service has one TCP port and a number of ready endpoints, a tenth of which are on `node-a`.
Addresses follow from the numbers, so that two runs program the same rules.
"""

import ipaddress
import json
from collections.abc import Iterable
from typing import Any

NODE_NAME = "node-a"
CLUSTER_CIDR = "10.128.0.0/9"
PORT, TARGET_PORT = 80, 8080
_FIRST_CLUSTER_IP = ipaddress.IPv4Address("10.0.0.10")
_FIRST_POD_IP = int(ipaddress.IPv4Address("10.128.0.1"))


def core_config() -> dict[str, Any]:
    """Returns the configuration of a `Proxier` for these clusters."""
    return {"node_name": NODE_NAME, "cluster_cidrs": [CLUSTER_CIDR]}


def cluster_ip(service: int) -> str:
    """Returns the ClusterIP of a Service."""
    return str(_FIRST_CLUSTER_IP + service)


def endpoint_ip(service: int, endpoint: int, endpoints: int) -> str:
    """Returns the address of one endpoint."""
    return dotted(_FIRST_POD_IP + service * endpoints + endpoint)


def dotted(address: int) -> str:
    """Returns an IPv4 address as text; a million of them come sooner so than from `ipaddress`."""
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def node_of(endpoint: int) -> str:
    """Returns the node of an endpoint: every tenth is on the node that is programmed."""
    return NODE_NAME if endpoint % 10 == 0 else f"node-{endpoint % 10}"


def service_object(service: int) -> dict[str, Any]:
    """Returns a Service as the API server lists it."""
    name = f"service-{service}"
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"00000000-0000-0000-0000-{service:012}",
            "resourceVersion": str(1000 + service),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app": name},
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": cluster_ip(service),
            "clusterIPs": [cluster_ip(service)],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "None",
            "selector": {"app": name},
            "ports": [{"name": "http", "protocol": "TCP", "port": PORT, "targetPort": TARGET_PORT}],
        },
        "status": {"loadBalancer": {}},
    }


def slice_object(service: int, endpoints: int, *, replaced: int | None = None) -> dict[str, Any]:
    """Returns the EndpointSlice of a Service, its first endpoint replaced where so asked."""
    addresses = [endpoint_ip(service, endpoint, endpoints) for endpoint in range(endpoints)]
    if replaced is not None:
        addresses[0] = f"10.255.{replaced // 250}.{1 + replaced % 250}"
    return slice_of(service, addresses)


def slice_of(service: int, addresses: list[str]) -> dict[str, Any]:
    """Returns the EndpointSlice of a Service with these endpoints."""
    name = f"service-{service}"
    return {
        "metadata": {
            "name": f"{name}-x7k2p",
            "generateName": f"{name}-",
            "namespace": "default",
            "uid": f"00000000-0000-0000-0001-{service:012}",
            "resourceVersion": str(2000 + service),
            "generation": 3,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {
                "app": name,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                "kubernetes.io/service-name": name,
            },
            "annotations": {
                "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z"
            },
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Service", "name": name, "controller": True}
            ],
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "protocol": "TCP", "port": TARGET_PORT}],
        "endpoints": [
            _endpoint(service, endpoint, address) for endpoint, address in enumerate(addresses)
        ],
    }


def _endpoint(service: int, endpoint: int, address: str) -> dict[str, Any]:
    return {
        "addresses": [address],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": node_of(endpoint),
        "zone": "zone-a",
        "targetRef": {
            "kind": "Pod",
            "namespace": "default",
            "name": f"service-{service}-{endpoint}",
            "uid": f"00000000-0000-0000-0002-{service * 1000 + endpoint:012}",
        },
    }


def slice_text(service: int, addresses: list[str]) -> str:
    """Returns what `slice_of` does as JSON, without a dictionary for each endpoint."""
    frame = _text(slice_of(service, []))
    listed = ",".join(
        f'{{"addresses":["{address}"],'
        '"conditions":{"ready":true,"serving":true,"terminating":false},'
        f'"nodeName":"{node_of(endpoint)}","zone":"zone-a",'
        '"targetRef":{"kind":"Pod","namespace":"default",'
        f'"name":"service-{service}-{endpoint}",'
        f'"uid":"00000000-0000-0000-0002-{service * 1000 + endpoint:012}"}}}}'
        for endpoint, address in enumerate(addresses)
    )
    return frame.replace('"endpoints":[]', f'"endpoints":[{listed}]')


def lists(services: Iterable[int], endpoints: int) -> tuple[bytes, bytes]:
    """Returns the ServiceList and the EndpointSliceList of some Services."""
    numbers = list(services)
    slices = (
        slice_text(number, [endpoint_ip(number, each, endpoints) for each in range(endpoints)])
        for number in numbers
    )
    return (
        _list("v1", "ServiceList", map(_text, map(service_object, numbers))),
        _list("discovery.k8s.io/v1", "EndpointSliceList", slices),
    )


def pages(services: list[dict[str, Any]], slices: list[dict[str, Any]]) -> tuple[bytes, bytes]:
    """Returns the ServiceList and the EndpointSliceList of these objects."""
    return (
        _list("v1", "ServiceList", map(_text, services)),
        _list("discovery.k8s.io/v1", "EndpointSliceList", map(_text, slices)),
    )


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"))


def _list(version: str, kind: str, items: Iterable[str]) -> bytes:
    page = {"kind": kind, "apiVersion": version, "metadata": {"resourceVersion": "9000"}}
    return f'{_text(page)[:-1]},"items":[{",".join(items)}]}}'.encode()


def slice_event(service: int, endpoints: int, replaced: int) -> bytes:
    """Returns the watch line of an EndpointSlice whose first endpoint was replaced."""
    return event("MODIFIED", "EndpointSlice", slice_object(service, endpoints, replaced=replaced))


_API_VERSIONS = {"Service": "v1", "EndpointSlice": "discovery.k8s.io/v1"}


def event(happened: str, kind: str, subject: dict[str, Any]) -> bytes:
    """Returns the watch line of an object."""
    typed = {"kind": kind, "apiVersion": _API_VERSIONS[kind], **subject}
    return _text({"type": happened, "object": typed}).encode()
