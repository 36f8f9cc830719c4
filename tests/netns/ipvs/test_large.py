"""More endpoints than kube-proxy's sets of addresses have room for.

It keeps the endpoints of a node, and what else IPVS cannot tell apart, in ipsets of 65,536 entries
at most: kubernetes#129389.
"""

import json
from ipaddress import IPv4Address

import pytest

from ..cluster import NODE_NAME, Cluster
from ..manifest import Object
from ..namespace import PATIENCE

SERVICES = 66
ENDPOINTS = 1000
"""Of each Service: as many as an EndpointSlice has at most."""


def objects(number: int) -> list[Object]:
    """Returns a Service with many endpoints on the node."""
    name = f"large-{number}"
    first = IPv4Address("10.244.0.1") + number * ENDPOINTS
    port = {"name": "http", "protocol": "TCP", "port": 80}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"clusterIP": f"10.96.0.{number + 1}", "ports": [port]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": name,
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "ports": [port],
            "endpoints": [
                {"addresses": [str(first + index)], "nodeName": NODE_NAME}
                for index in range(ENDPOINTS)
            ],
        },
    ]


@pytest.mark.timeout(300 * PATIENCE)
def test_there_is_no_bound_on_endpoints(fleet: Cluster) -> None:
    items = [item for number in range(SERVICES) for item in objects(number)]
    fleet.sync(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    servers = fleet.node.run("ipvsadm", "-Sn").stdout
    assert servers.count(" -r ") == SERVICES * ENDPOINTS > 65_536
    listed = fleet.node.run("nft", "-j", "list", "set", "ip", "kpx", "hairpin-connections").stdout
    (hairpins,) = (entry["set"] for entry in json.loads(listed)["nftables"] if "set" in entry)
    assert len(hairpins["elem"]) == SERVICES * ENDPOINTS
