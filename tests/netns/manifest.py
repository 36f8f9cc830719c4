"""The Services of the packet tests, as Kubernetes objects."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .cluster import NODE_NAME, SERVICE_CIDRS, TARGET_PORT, Addresses, Cluster, Pod
from .namespace import PATIENCE

Kind = Literal["cluster", "node-port", "external", "load-balancer"]
"""A way to address a Service."""

KINDS: tuple[Kind, ...] = ("cluster", "node-port", "external", "load-balancer")
ADDRESS_KINDS: tuple[Kind, ...] = ("cluster", "external", "load-balancer")
EXTERNAL_KINDS: tuple[Kind, ...] = ("node-port", "external", "load-balancer")
PROTOCOLS = ("tcp", "udp")
VERSIONS = (4, 6)
SERVICE_PORT = 80

Object = dict[str, Any]


@dataclass(frozen=True)
class Service:
    """A dual-stack Service with TCP and UDP on one port; `number` makes its addresses its own."""

    name: str
    number: int
    pods: tuple[str, ...]
    spec: Mapping[str, Any]
    protocols: tuple[str, ...] = PROTOCOLS
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def node_port(self) -> int:
        """The NodePort, the same number for each protocol."""
        return 30000 + self.number

    def address(self, kind: Kind, version: int) -> str:
        """Returns the virtual address of one kind; a NodePort has none of its own."""
        host = {"cluster": 0, "external": 0, "load-balancer": 100}[kind] + self.number
        if kind == "cluster":
            return f"10.96.0.{host}" if version == 4 else f"fd00:10:96::{host:x}"
        return f"203.0.113.{host}" if version == 4 else f"2001:db8:203::{host:x}"

    def target(self, kind: Kind, version: int, cluster: Cluster) -> tuple[str, int]:
        """Returns the address and the port to connect to."""
        if kind == "node-port":
            return cluster.node_addresses[version], self.node_port
        return self.address(kind, version), SERVICE_PORT

    def objects(self, pods: Mapping[str, Pod]) -> list[Object]:
        """Returns the Service and its EndpointSlices, one a family."""
        metadata: Object = {"name": self.name, "namespace": "default"}
        if self.annotations:
            metadata["annotations"] = dict(self.annotations)
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {
                "type": "LoadBalancer",
                "clusterIP": self.address("cluster", 4),
                "clusterIPs": [self.address("cluster", version) for version in VERSIONS],
                "ipFamilies": ["IPv4", "IPv6"],
                "ipFamilyPolicy": "RequireDualStack",
                "externalIPs": [self.address("external", version) for version in VERSIONS],
                "ports": [
                    {
                        "name": protocol,
                        "protocol": protocol.upper(),
                        "port": SERVICE_PORT,
                        "targetPort": TARGET_PORT,
                        "nodePort": self.node_port,
                    }
                    for protocol in self.protocols
                ],
                **self.spec,
            },
            "status": {
                "loadBalancer": {
                    "ingress": [
                        {"ip": self.address("load-balancer", version)} for version in VERSIONS
                    ]
                }
            },
        }
        return [
            service,
            *(self._slice([pods[name] for name in self.pods], version) for version in VERSIONS),
        ]

    def _slice(self, pods: Iterable[Pod], version: int) -> Object:
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{self.name}-ipv{version}",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": self.name},
            },
            "addressType": f"IPv{version}",
            "ports": [
                {"name": protocol, "protocol": protocol.upper(), "port": TARGET_PORT}
                for protocol in self.protocols
            ],
            "endpoints": [
                {
                    "addresses": [pod.addresses[version]],
                    "nodeName": pod.node_name,
                    "conditions": {"ready": True, "serving": True, "terminating": False},
                }
                for pod in pods
            ],
        }


ALL = ("pod-1", "pod-2", "pod-3", "pod-4", "pod-5")
REMOTE = ("pod-4", "pod-5")
ALLOWED_RANGE = "192.0.2.64/26"
"""Addresses of the client that may use the load balancer of `ranges`; not its first one."""
AFFINITY_SECONDS = round(4 * PATIENCE)
"""Long beside the time that a probe takes on a busy machine."""

SERVICES = {
    service.name: service
    for service in (
        Service("web", 10, ALL, {}),
        Service("external-local", 11, ALL, {"externalTrafficPolicy": "Local"}),
        Service("internal-local", 12, ALL, {"internalTrafficPolicy": "Local"}),
        Service("single", 13, ("pod-1",), {}),
        Service("empty", 14, (), {}),
        Service(
            "local-elsewhere",
            15,
            REMOTE,
            {"externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local"},
        ),
        Service("ranges", 16, ALL, {"loadBalancerSourceRanges": [ALLOWED_RANGE]}),
        Service(
            "sticky",
            17,
            ALL,
            {
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}},
            },
        ),
        Service("pair", 18, ("pod-1", "pod-4"), {}),
        Service("sctp", 19, ALL, {}, protocols=("sctp",)),
    )
}


def manifest(
    cluster: Cluster,
    services: Mapping[str, Service] = SERVICES,
    *,
    node_addresses: Addresses | None = None,
    service_cidrs: Iterable[str] = SERVICE_CIDRS,
) -> str:
    """Returns a `List` of the node, the Service networks, and the Services with their endpoints."""
    node: Object = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE_NAME},
        "spec": {"podCIDRs": ["10.244.1.0/24", "fd00:10:244:1::/64"]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": address}
                for address in (node_addresses or cluster.node_addresses).values()
            ]
        },
    }
    networks: Object = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": list(service_cidrs)},
    }
    items = [node, networks]
    for service in services.values():
        items.extend(service.objects(cluster.pods))
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
