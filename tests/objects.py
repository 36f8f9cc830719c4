"""Objects for tests, each with what a test does not care about filled in."""

import json
from typing import Any

from kpx._core import Pod, PodStore

Object = dict[str, Any]


def service(name: str = "web", **spec: Any) -> Object:
    """A Service on 10.96.0.10:80 that selects `app: web`."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "default", "name": name},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.96.0.10",
            "clusterIPs": ["10.96.0.10"],
            "ipFamilies": ["IPv4"],
            "selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}],
            **spec,
        },
    }


def endpoint_slice(service_name: str = "web", *addresses: str) -> Object:
    """A slice of a Service with ready endpoints on port 8080."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": "default",
            "name": f"{service_name}-1",
            "labels": {"kubernetes.io/service-name": service_name},
        },
        "addressType": "IPv4",
        "ports": [{"name": "", "protocol": "TCP", "port": 8080}],
        "endpoints": [
            {"addresses": [address], "conditions": {"ready": True}} for address in addresses
        ],
    }


def pod(name: str, *ips: str, node_name: str = "node", ready: bool = True, **parts: Any) -> Object:
    """A running Pod with the label `app: web`; `parts` are merged over its parts."""
    whole: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": "default",
            "name": name,
            "uid": f"uid-{name}",
            "labels": {"app": "web"},
        },
        "spec": {"nodeName": node_name, "containers": [{"name": "main"}]},
        "status": {
            "phase": "Running",
            "podIPs": [{"ip": ip} for ip in ips],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }
    for part, fields in parts.items():
        whole[part] = {**whole[part], **fields}
    return whole


def node(name: str = "node", zone: str | None = "a", address: str = "192.0.2.1") -> Object:
    """A Node, with a zone unless told otherwise."""
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"addresses": [{"type": "InternalIP", "address": address}]},
    }


def pod_store(*pods: Object) -> PodStore:
    """The core's records of Pods, all of which must be valid."""
    store = PodStore()
    for shown in pods:
        _, outcome = store.feed(json.dumps(shown).encode())
        assert outcome.rejections == []
    return store


def pod_record(shown: Object) -> Pod:
    """The core's record of one Pod, which must be valid."""
    _, outcome = PodStore().feed(json.dumps(shown).encode())
    [(_, record)] = outcome.changes
    assert record is not None
    return record
