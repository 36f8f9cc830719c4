"""What a long-running agent asks of the core, on the real kernel."""

import json
import sys
from typing import Any

from objects import endpoint_slice, service

from .namespace import Namespace

NODE = "node-a"
START = 1_700_000_000
CHANGED = "2023-11-14T22:13:30.5Z"
"""10.5 seconds after the start."""

PROGRAM = """
import json, subprocess, sys
from kpx import Proxier

config, list_, line = json.load(sys.stdin)
proxier = Proxier(json.dumps(config))
proxier.feed(json.dumps(list_).encode())
seen = {"new": proxier.has_changes()}

def sync(name, **how):
    report = proxier.sync(**how)
    seen[name] = [report.operations > 0, report.repairs > 0, report.trigger_times]

sync("first")
seen["settled"] = [proxier.has_changes(), proxier.drifted()]
proxier.feed_event(json.dumps(line).encode())
seen["changed"] = proxier.has_changes()
sync("event")
line["object"]["metadata"]["annotations"]["other"] = "value"
proxier.feed_event(json.dumps(line).encode())
seen["annotated"] = proxier.has_changes()
subprocess.run(["nft", "delete", "table", "ip", "kpx"], check=True)
seen["deleted"] = proxier.drifted()
sync("repaired", full=True)
sync("again", full=True)
seen["status"] = json.loads(Proxier('{"node_name": "any"}').status())
seen["checks"] = [
    [check.namespace, check.name, check.port, check.local_endpoints]
    for check in proxier.health_checks()
]
print(json.dumps(seen))
"""


def test_the_core_tells_what_an_agent_needs(node: Namespace) -> None:
    balancer = service(
        type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=32000
    )
    before = endpoint_slice("web", "10.244.1.5", "10.244.1.6")
    after = endpoint_slice("web", "10.244.1.5", "10.244.2.7")
    after["endpoints"][0]["nodeName"] = NODE
    after["metadata"]["annotations"] = {"endpoints.kubernetes.io/last-change-trigger-time": CHANGED}
    config = {"node_name": NODE, "started_at": START}
    feed = {"kind": "List", "apiVersion": "v1", "items": [balancer, before]}
    line = {"type": "MODIFIED", "object": after}
    printed = node.run(sys.executable, "-c", PROGRAM, stdin=json.dumps([config, feed, line])).stdout
    seen: dict[str, Any] = json.loads(printed)
    assert seen["new"]
    assert seen["first"] == [True, False, []]
    assert seen["settled"] == [False, False]
    assert seen["changed"]
    assert seen["event"] == [True, False, [START + 10.5]]
    assert not seen["annotated"]
    assert seen["deleted"]
    assert seen["repaired"] == [True, True, []]
    assert seen["again"] == [False, False, []]
    assert seen["checks"] == [["default", "web", 32000, 1]]
    status = seen["status"]
    assert (status["services"], status["frontends"], status["endpoints"]) == (1, 1, 2)
    assert status["tables"]["ip"]["elements"]["endpoints"] == 2
    assert status["strays"] == 0
    assert status["inconsistent"] == []
