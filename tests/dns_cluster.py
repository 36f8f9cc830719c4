"""A small cluster whose names the tests ask for."""

import json
from typing import Any


def alias(name: str, target: str) -> dict[str, Any]:
    return {"name": name, "spec": {"type": "ExternalName", "externalName": target}}


SERVICES: list[dict[str, Any]] = [
    {
        "name": "web",
        "spec": {
            "clusterIP": "10.96.0.10",
            "clusterIPs": ["10.96.0.10", "fd00:96::a"],
            "ports": [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}],
        },
    },
    {"name": "plain", "spec": {"clusterIP": "10.96.0.11", "ports": [{"port": 443}]}},
    {
        "name": "db",
        "spec": {"clusterIP": "None", "ports": [{"name": "sql", "port": 5432}]},
    },
    {"name": "peers", "spec": {"clusterIP": "None"}},
    {"name": "asleep", "spec": {"clusterIP": "None", "ports": [{"name": "x", "port": 1}]}},
    {
        "name": "here",
        "spec": {"type": "ExternalName", "externalName": "web.shop.svc.cluster.local"},
    },
    alias("away", "www.example.org"),
    alias("lost", "no.shop.svc.cluster.local"),
    alias("literal", "192.0.2.1"),
    {
        "name": "loop",
        "spec": {"type": "ExternalName", "externalName": "pool.shop.svc.cluster.local"},
    },
    {
        "name": "pool",
        "spec": {"type": "ExternalName", "externalName": "loop.shop.svc.cluster.local"},
    },
]


def endpoint(address: str, hostname: str = "", *, ready: bool = True) -> dict[str, Any]:
    named = {"hostname": hostname} if hostname else {}
    return {"addresses": [address], "conditions": {"ready": ready}, **named}


def slice_of(
    service: str, name: str, endpoints: list[dict[str, Any]], ports: list[dict[str, Any]]
) -> dict[str, Any]:
    family = "IPv6" if any(":" in one["addresses"][0] for one in endpoints) else "IPv4"
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": family,
        "endpoints": endpoints,
        "ports": ports,
    }


SQL = [{"name": "sql", "port": 15432}]
SLICES = [
    slice_of("web", "web-1", [endpoint("10.244.1.5")], [{"name": "http", "port": 8080}]),
    slice_of(
        "db",
        "db-4",
        [
            endpoint("10.244.1.7", "db-0"),
            endpoint("10.244.2.7", "db-1"),
            endpoint("10.244.2.8", "db-2", ready=False),
            endpoint("10.244.2.9"),
        ],
        SQL,
    ),
    slice_of("db", "db-4-again", [endpoint("10.244.1.7", "db-0")], SQL),
    slice_of("db", "db-6", [endpoint("fd00:244::7", "db-0"), endpoint("fd00:244::")], SQL),
    slice_of("peers", "peers-1", [endpoint("10.244.3.1", "peer-0")], []),
    slice_of("asleep", "asleep-1", [endpoint("10.244.4.1", ready=False)], []),
]


def manifest() -> bytes:
    services = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": service["name"], "namespace": "shop"},
            "spec": service["spec"],
        }
        for service in SERVICES
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": services + SLICES}).encode()
