"""`kpx explain` on a real kernel."""

import json
import subprocess
from typing import Any

import pytest

from nodes import Node
from objects import endpoint_slice, service
from objects import node as node_object

pytestmark = pytest.mark.netns

VIP = "10.96.0.10:80"
FLAGS = ("--node-name", "node", "--cluster-cidr", "10.0.0.0/16")


def loaded_service(**spec: Any) -> dict[str, Any]:
    """A Service of every kind of frontend."""
    ports = [{"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"}]
    made = service(type="LoadBalancer", externalIPs=["198.51.100.1"], **{"ports": ports, **spec})
    return {**made, "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}}


def loaded_slice(*nodes: str) -> dict[str, Any]:
    """A slice with an endpoint on each of these nodes: 10.0.0.1, 10.0.0.2, and so on."""
    made = endpoint_slice("web", *(f"10.0.0.{number}" for number in range(1, len(nodes) + 1)))
    made["ports"][0]["name"] = "http"
    for endpoint, name in zip(made["endpoints"], nodes, strict=True):
        endpoint["nodeName"] = name
    return made


WEB = (node_object(), loaded_service(), loaded_slice("node", "other"))


@pytest.fixture
def path(node: Node) -> str:
    """The manifest of a node that is programmed with it."""
    path = node.write("web.json", *WEB)
    assert node.kpx("sync", "-f", path, *FLAGS).returncode == 0
    return path


def explain(node: Node, *arguments: str) -> dict[str, Any]:
    result = node.kpx("explain", *arguments, *FLAGS, "-o", "json")
    assert result.returncode in (0, 3), result.stderr
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed


def text(result: subprocess.CompletedProcess[str]) -> str:
    """What was printed, as if on one line."""
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return " ".join(result.stdout.split())


def endpoints(node: Node, key: str) -> list[str]:
    """The endpoints that the kernel holds for the start of a key."""
    listed = node.run("nft", "-j", "list", "map", "ip", "kpx", "endpoints")
    [elements] = [item["map"]["elem"] for item in json.loads(listed.stdout)["nftables"][1:]]
    return sorted(
        ":".join(map(str, value["concat"]))
        for source, value in elements
        if " . ".join(map(str, source["concat"])).startswith(key)
    )


class TestKernel:
    def test_it_agrees_after_a_sync(self, node: Node, path: str) -> None:
        for target in ("web", VIP, "203.0.113.1:80", "198.51.100.1:80", "node:30080"):
            explained = explain(node, target, "-f", path)
            assert explained["kernel"] == {"state": "read", "differences": []}
            assert explained["unserved"] is None
        explained = explain(node, VIP, "-f", path)
        [frontend] = explained["ports"][0]["frontends"]
        programmed = endpoints(node, "10.96.0.10 . tcp . 80 .")
        assert programmed == ["10.0.0.1:8080", "10.0.0.2:8080"]
        assert [path["endpoints"] for path in frontend["paths"]] == [programmed] * 3

    def test_a_deleted_element_is_named(self, node: Node, path: str) -> None:
        element = "{ 10.96.0.10 . tcp . 80 . 1 }"
        deleted = node.run("nft", "delete", "element", "ip", "kpx", "endpoints", element)
        assert deleted.returncode == 0, deleted.stderr
        [gone] = {"10.0.0.1:8080", "10.0.0.2:8080"} - set(endpoints(node, "10.96.0.10"))

        [difference] = explain(node, VIP, "-f", path)["kernel"]["differences"]

        assert difference["change"].split() == ["~", "10.96.0.10:80/tcp", f"+{gone}"]
        assert gone not in difference["programmed"]["endpoints"]
        assert gone in difference["desired"]["endpoints"]
        said = text(node.kpx("explain", VIP, "-f", path, *FLAGS))
        assert f"kernel differs; `kpx sync` would change ~ 10.96.0.10:80/tcp +{gone}" in said
        others = explain(node, "203.0.113.1:80", "-f", path)
        assert others["kernel"]["differences"] == []

    def test_a_node_without_tables(self, node: Node) -> None:
        explained = explain(node, VIP, "-f", node.write("web.json", *WEB))
        changes = [entry["change"] for entry in explained["kernel"]["differences"]]
        assert "+ table ip kpx" in changes
        assert changes[0].startswith("+ 10.96.0.10:80/tcp")

    def test_nothing_is_written(self, node: Node) -> None:
        assert node.kpx("explain", VIP, "-f", node.write("web.json", *WEB)).returncode == 0
        assert node.run("nft", "list", "tables").stdout == ""

    def test_no_permission_is_no_failure(self, node: Node, path: str) -> None:
        drop = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
        if node.run(*drop, "true").returncode != 0:
            pytest.skip("`setpriv` cannot drop a capability here")
        inside = Node((*node.enter, *drop), node.directory)
        said = text(inside.kpx("explain", VIP, "-f", path, *FLAGS))
        assert "from pods" in said
        assert "kernel cannot be read, so not compared: " in said
        assert "not permitted" in said


class TestText:
    def test_every_class_of_sources(self, node: Node, path: str) -> None:
        result = node.kpx("explain", "web", "-f", path, *FLAGS)
        assert max(map(len, result.stdout.splitlines())) <= 80
        assert "\x1b" not in result.stdout
        said = text(result)
        for part in (
            "web on node node default/web, port http 80/tcp",
            "traffic policy internal Cluster, external Cluster",
            "10.0.0.1:8080 this node in: ready",
            "10.0.0.2:8080 another node in: ready",
            "cluster IP 10.96.0.10:80/tcp from pods pods have addresses in `10.0.0.0/16`"
            " to one of 2 endpoints, cluster list: the internal traffic policy is Cluster"
            " source kept: the source is a pod",
            "load balancer 203.0.113.1:80/tcp",
            "external IP 198.51.100.1:80/tcp",
            "node port node-ip:30080/tcp answers on 192.0.2.1",
            "masqueraded: the external traffic policy is Cluster",
        ):
            assert part in said
        assert said.endswith("kernel as described")

    def test_one_source(self, node: Node) -> None:
        ranges = {"loadBalancerSourceRanges": ["198.51.100.0/24"]}
        guarded = loaded_service(externalTrafficPolicy="Local", **ranges)
        path = node.write("web.json", node_object(), guarded, loaded_slice("other"))

        def said(target: str, source: str) -> str:
            return text(node.kpx("explain", target, "--from", source, "-f", path, *FLAGS))

        refused = said("203.0.113.1:80", "203.0.113.9")
        assert "source ranges only 198.51.100.0/24" in refused
        assert "dropped: the source is in none of the source ranges" in refused
        assert "10.0.0.1:8080 another node in: ready out: on another node" in refused
        dropped = said("203.0.113.1:80", "198.51.100.9")
        assert "dropped: the external traffic policy is Local, and endpoints" in dropped
        assert "short circuit" in said("node:30080", "10.0.0.9")
        assert "from 192.0.2.1 node: one of the node's own addresses" in said(VIP, "192.0.2.1")

    def test_many_endpoints(self, node: Node) -> None:
        path = node.write("web.json", loaded_service(), loaded_slice(*["other"] * 30))
        said = text(node.kpx("explain", VIP, "-f", path, *FLAGS))
        assert "10.0.0.20:8080 another node in: ready and 10 more" in said
        assert len(explain(node, VIP, "-f", path)["ports"][0]["endpoints"]) == 30

    def test_conflicts(self, node: Node) -> None:
        older, younger = loaded_service(), service("young", clusterIPs=["10.96.0.20"])
        younger["spec"].update(clusterIP="10.96.0.20", externalIPs=["198.51.100.1"])
        older["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
        path = node.write("web.json", older, younger)
        for target, part in (
            ("198.51.100.1:80", "the younger Service `default/young` wants it too"),
            ("young", "belongs to the older Service `default/web`"),
        ):
            result = node.kpx("explain", target, "-f", path, *FLAGS)
            assert result.returncode == 3
            assert result.stderr.startswith("rejected in part: Service `default/young`: ")
            assert part in " ".join(result.stdout.split())

    @pytest.mark.parametrize(
        ("target", "part"),
        [
            ("10.96.0.10:81", "rejected: port unreachable `10.96.0.10` is the cluster IP of"),
            ("192.0.2.1:31000", "no rule of kpx applies `192.0.2.1` is the node's"),
            ("8.8.8.8:53/udp", "no rule of kpx applies no Service has `8.8.8.8`"),
        ],
    )
    def test_what_nobody_has(self, node: Node, path: str, target: str, part: str) -> None:
        assert part in text(node.kpx("explain", target, "-f", path, *FLAGS))


class TestFailures:
    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            (["10.96.0.10"], "the target cannot be understood: `10.96.0.10` is an address"),
            (["10.96.0.10:http"], "the target cannot be understood: `http` is not a port"),
            (["10.96.0.10:80/icmp"], "the target cannot be understood: `icmp` is none of"),
            (["web", "--from", "here"], "the source `here` is not an IP address"),
            (["nobody"], "the Service `default/nobody` is not among those"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_each_has_a_hint(self, node: Node, arguments: list[str], error: str) -> None:
        result = node.kpx("explain", *arguments, "-f", node.write("web.json", *WEB))
        assert (result.returncode, result.stdout) == (1, "")
        first, hint = result.stderr.splitlines()
        assert first.startswith(f"error: {error}")
        assert hint.startswith("hint: ")

    def test_the_forms_are_named(self, node: Node) -> None:
        result = node.kpx("explain", "a:b:c", "-f", node.write("web.json", *WEB))
        assert "`node:port[/protocol]`" in result.stderr

    def test_nft_is_no_form_of_output(self, node: Node) -> None:
        result = node.kpx("explain", "web", "-f", node.write("web.json", *WEB), "-o", "nft")
        assert result.returncode == 1
        assert "'nft' is not one of 'text', 'json'" in result.stderr

    def test_rejected_objects_are_named(self, node: Node) -> None:
        bad = service("bad", clusterIP="10.96.0.300", clusterIPs=["10.96.0.300"])
        path = node.write("web.json", *WEB, bad)
        result = node.kpx("explain", VIP, "-f", path)
        assert result.returncode == 3
        assert result.stderr.startswith("rejected: Service `default/bad`: ")
        assert "default/web" in result.stdout
        unknown = node.kpx("explain", "bad", "-f", path)
        assert unknown.returncode == 1
        assert unknown.stderr.startswith("error: the Service `default/bad` is rejected: ")
