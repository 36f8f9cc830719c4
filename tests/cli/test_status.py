"""`kpx status` on a real kernel, and health check node ports of `kpx run`."""

import json
from typing import Any

import pytest

from cli.test_run import agent, eventually, has
from cli.test_run_cluster import fetch
from nodes import Node
from objects import endpoint_slice, service

pytestmark = pytest.mark.netns


def test_status(node: Node) -> None:
    assert node.kpx("status").stdout.splitlines() == [
        "nothing is programmed",
        "agent         no agent answers at 127.0.0.1:10249",
    ]
    node.kpx("sync", "-f", node.write("web.json", service(), endpoint_slice("web", "10.0.0.1")))
    text = node.kpx("status")
    assert text.returncode == 0
    assert "services      1\n" in text.stdout
    assert "table ip" in text.stdout
    parsed = json.loads(node.kpx("status", "-o", "json").stdout)
    assert (parsed["services"], parsed["endpoints"]) == (1, 1)
    assert (parsed["strays"], parsed["inconsistent"]) == (0, [])


def test_what_the_agent_knows_stands_beside_what_the_kernel_holds(node: Node) -> None:
    broken = service("broken", clusterIP="nonsense", clusterIPs=["nonsense"])
    node.write("web.json", service(), endpoint_slice("web", "10.0.0.1"), broken)
    with agent(node):
        eventually(has(node, "10.0.0.1"), "the manifest is programmed")
        node.run("nft", "flush", "map", "ip", "kpx", "endpoints")
        eventually(lambda: known(node).get("repaired") == 1, "the edit is repaired and told")
        found = known(node)
        text = node.kpx("status").stdout
        elsewhere = node.kpx("status", "--metrics-bind-address=127.0.0.1:9").stdout
        unasked = json.loads(node.kpx("status", "-o", "json", "--metrics-bind-address=none").stdout)

    assert (found["node"], found["problem"]) == ("node", None)
    assert found["pendingSince"] is None
    assert found["failures"] == 0
    assert found["lastSync"]["work"] == "all"
    assert (found["lastSync"]["services"], found["lastSync"]["endpoints"]) == (1, 1)
    (left_out,) = found["leftOut"]["objects"]
    assert (left_out["kind"], left_out["name"]) == ("Service", "default/broken")
    assert "repaired      1 changes that others made" in text
    assert "  Service `default/broken`: " in text
    assert "services      1" in text
    assert "agent         no agent answers at 127.0.0.1:9" in elsewhere
    assert "agent" not in unasked


def known(node: Node) -> dict[str, Any]:
    found = json.loads(node.kpx("status", "-o", "json").stdout)["agent"]
    assert isinstance(found, dict)
    return found


def test_health_check_node_ports(node: Node) -> None:
    balanced = service(
        type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=31999
    )
    local = endpoint_slice("web", "10.0.0.1", "10.0.0.2")
    local["endpoints"][0]["nodeName"] = "node"
    local["endpoints"][1]["nodeName"] = "other"
    node.write("web.json", balanced, local)
    with agent(node):
        eventually(has(node, "10.0.0.1"), "the manifest is programmed")
        eventually(lambda: fetch(node, "http://127.0.0.1:31999/")[0] == 200, "the port answers")
        assert json.loads(fetch(node, "http://127.0.0.1:31999/any")[1]) == {
            "service": {"namespace": "default", "name": "web"},
            "localEndpoints": 1,
            "serviceProxyHealthy": True,
        }
        local["endpoints"][0]["nodeName"] = "other"
        node.write("web.json", balanced, local)
        eventually(lambda: fetch(node, "http://127.0.0.1:31999/")[0] == 503, "no endpoint is left")
