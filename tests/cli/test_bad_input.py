"""What is not valid is named, the rest is programmed, and what a bad object had stays."""

import json
from typing import Any

import pytest

from nodes import Node
from objects import endpoint_slice, service

pytestmark = pytest.mark.netns

Object = dict[str, Any]

GOOD = (service(), endpoint_slice("web", "10.0.0.1", "10.0.0.2"))
OTHER_PORT = [{"port": 80, "nodePort": 30080}]


def other(**spec: Any) -> Object:
    """Another Service, on an address of its own unless told otherwise."""
    return service("other", **{"clusterIP": "10.96.0.11", "clusterIPs": ["10.96.0.11"], **spec})


def dated(name: str, created: str, **spec: Any) -> Object:
    """A Service with the time of its creation."""
    made = other(**spec)
    made["metadata"] = {"namespace": "default", "name": name, "creationTimestamp": created}
    return made


CASES = {
    "a cluster IP": (
        [other(clusterIP="10.96.0.300", clusterIPs=["10.96.0.300"])],
        ["Service `default/other`: spec.clusterIPs", "10.96.0.300"],
    ),
    "a port": (
        [other(ports=[{"port": 70000}])],
        ["Service `default/other`: spec.ports[0].port", "70000", "65535"],
    ),
    "a node port": (
        [other(type="NodePort", ports=[{"port": 80, "nodePort": 65536}])],
        ["Service `default/other`: spec.ports[0].nodePort", "65536"],
    ),
    "a source range": (
        [other(type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.0/33"])],
        ["Service `default/other`: spec.loadBalancerSourceRanges[0]", "10.0.0.0/33"],
    ),
    "an endpoint's address": (
        [other(), endpoint_slice("other", "10.0.0.3", "10.0.0.999")],
        ["in part: EndpointSlice `default/other-1`: endpoints[1]", "10.0.0.999"],
    ),
    "a type": ([other(ports="none")], ["Service `default/other`: spec.ports"]),
    "an address that an older Service has": (
        [
            dated("young", "2025-01-01T00:00:00Z"),
            dated("old", "2024-01-01T00:00:00Z"),
        ],
        ["Service `default/young`: 10.96.0.11:80/tcp", "older Service `default/old`"],
    ),
    "a node port that an older Service has": (
        [
            dated("old", "2024-01-01T00:00:00Z", type="NodePort", ports=OTHER_PORT),
            dated(
                "young",
                "2025-01-01T00:00:00Z",
                type="NodePort",
                ports=OTHER_PORT,
                clusterIP="10.96.0.12",
                clusterIPs=["10.96.0.12"],
            ),
        ],
        ["Service `default/young`: node-ip:30080/tcp", "older Service `default/old`"],
    ),
}


@pytest.mark.parametrize(("objects", "said"), CASES.values(), ids=CASES)
def test_what_is_wrong_is_named_and_the_rest_works(
    node: Node, objects: list[Object], said: list[str]
) -> None:
    result = node.kpx("sync", "-f", node.write("objects.json", *GOOD, *objects))

    assert result.returncode == 3
    rejected = result.stderr.splitlines()
    assert [line for line in rejected if all(part in line for part in said)], result.stderr
    assert (
        "10.96.0.10 . tcp . 80" in node.run("nft", "list", "map", "ip", "kpx", "endpoints").stdout
    )
    # A second time the answer is the same, and there is nothing to do.
    again = node.kpx("sync", "-f", node.write("objects.json", *GOOD, *objects), "-o", "json")
    assert (again.returncode, again.stderr) == (3, result.stderr)
    assert set(json.loads(again.stdout)["operations"].values()) == {0}


def test_a_bad_version_of_a_service_leaves_what_it_had(node: Node) -> None:
    first = node.kpx("sync", "-f", node.write("good.json", *GOOD))
    assert first.returncode == 0, first.stderr
    before = node.run("nft", "list", "ruleset").stdout
    bad = service(ports=[{"port": 0}])

    result = node.kpx("sync", "-f", node.write("bad.json", bad, GOOD[1]))

    assert result.returncode == 3
    assert "spec.ports[0].port" in result.stderr
    assert node.run("nft", "list", "ruleset").stdout == before


def test_a_hundred_thousand_endpoints(node: Node) -> None:
    addresses = [
        f"10.{128 + number // 65536}.{number // 256 % 256}.{number % 256}"
        for number in range(100_000)
    ]
    path = node.write("many.json", service(), endpoint_slice("web", *addresses))

    result = node.kpx("sync", "-f", path, "-o", "json")

    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["endpoints"] == 100_000
    chain = node.run("nft", "list", "chain", "ip", "kpx", "lb-100000").stdout
    assert "numgen random mod 100000 map @endpoints" in chain
