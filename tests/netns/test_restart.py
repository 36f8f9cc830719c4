"""`kpx run` started anew on a node that is programmed: nothing is written, nobody moves."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from agent_process import AgentProcess
from fakes.apiserver import SERVICES as SERVICES_PATH
from fakes.apiserver import api_server_process

from .churn import by_path
from .cluster import NODE_NAME, Cluster, sync_options
from .conftest import Reprogram
from .manifest import SERVICES, manifest
from .namespace import PATIENCE
from .probe import connect

CLIENTS = [f"192.0.2.{host}" for host in range(65, 85)]
AFFINITY = {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 3600}}}

FULL_SYNCS = 'kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family="IPv4"}'


def remembered(cluster: Cluster) -> int:
    """How many clients the kernel remembers for session affinity."""
    listed = json.loads(
        cluster.node.run("nft", "-j", "list", "map", "ip", "kpx", "affinity").stdout
    )
    (found,) = (entry["map"] for entry in listed["nftables"] if "map" in entry)
    return len(found.get("elem", []))


@pytest.mark.timeout(180 * PATIENCE)
def test_a_restart_writes_nothing(
    programmed: Cluster, reprogram: Reprogram, tmp_path: Path
) -> None:
    del reprogram  # restores the Services behind the test
    sticky = SERVICES["sticky"]
    sticky = replace(sticky, spec={**sticky.spec, **AFFINITY})
    objects = by_path(json.loads(manifest(programmed, {**SERVICES, "sticky": sticky}))["items"])
    enter = programmed.node.command()
    with (
        api_server_process(enter, objects) as server,
        AgentProcess(enter, server.url, tmp_path, *sync_options(), node_name=NODE_NAME) as agent,
    ):

        def is_compared() -> bool:
            return agent.metric(FULL_SYNCS) > 0

        def is_settled() -> bool:
            items = [item for path in objects for item in server.get(path)]
            given = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
            options = ("-f", "-", "-o", "json", *sync_options())
            planned = programmed.kpx("plan", *options, stdin=given, check=False)
            return not json.loads(planned.stdout)["changes"]

        agent.start()
        agent.eventually(is_compared, "all is programmed")
        target = sticky.target("cluster", 4, programmed)
        before = connect(programmed.client, "tcp", *target, count=len(CLIENTS), bind=CLIENTS)
        assert remembered(programmed) >= len(CLIENTS)
        wrong = SERVICES["web"].objects(programmed.pods)[0]
        wrong = {**wrong, "spec": {**wrong["spec"], "type": 7}}
        server.put(SERVICES_PATH, wrong)
        agent.eventually(lambda: agent.metric("kpx_rejections") == 1, "a Service is rejected")
        agent.eventually(is_settled, "chains that the kernel was slow to let go of are deleted")
        for _ in range(2):
            agent.kill()
            agent.start()
            agent.eventually(is_compared, "all is compared")
            assert agent.metric("kpx_rejections") == 1
            assert agent.metric("kpx_operations_total") == 0
        assert remembered(programmed) >= len(CLIENTS)
        after = connect(programmed.client, "tcp", *target, count=len(CLIENTS), bind=CLIENTS)
        assert after.pods_by_client == before.pods_by_client
        web_target = SERVICES["web"].target("cluster", 4, programmed)
        assert connect(programmed.client, "tcp", *web_target).outcomes == {"answer": 1}
