"""`kpx sync` from a cluster: the API server is a fake, the kernel is real."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from fakes.apiserver import ENDPOINT_SLICES, NODES, SERVICES, write_kubeconfig
from kpx.kube.lists import PAGE_SIZE
from nodes import Node
from objects import endpoint_slice, service
from objects import node as node_object

pytestmark = pytest.mark.netns

Serve: TypeAlias = Callable[..., str]


@pytest.fixture
def serve(node: Node) -> Iterator[Serve]:
    """Starts an API server on the node, and returns the path of a kubeconfig for it."""
    with ExitStack() as servers:

        def start(
            *services: dict[str, Any], refusals: dict[str, list[dict[str, Any]]] | None = None
        ) -> str:
            objects = {
                SERVICES: services,
                ENDPOINT_SLICES: [endpoint_slice("web", "10.0.0.1", "10.0.0.2")],
                NODES: [node_object("node")],
            }
            process = servers.enter_context(
                subprocess.Popen(
                    [*node.enter, sys.executable, "-m", "fakes.apiserver"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    cwd=Path(__file__).parent.parent,
                )
            )
            assert process.stdin is not None
            assert process.stdout is not None
            script = {"objects": objects, "refusals": refusals or {}}
            process.stdin.write(json.dumps(script) + "\n")
            process.stdin.flush()
            return write_kubeconfig(process.stdout.readline().strip(), node.directory)

        yield start


def test_sync(node: Node, serve: Serve) -> None:
    many = [
        service(f"s{number}", clusterIP=f"10.97.{number // 250}.{number % 250}", clusterIPs=None)
        for number in range(PAGE_SIZE)
    ]
    kubeconfig = serve(service(), *many)
    result = node.kpx("sync", "--kubeconfig", kubeconfig, "--node-name", "node", "-o", "json")
    assert (result.returncode, result.stderr) == (0, "")
    done = json.loads(result.stdout)
    assert (done["services"], done["endpoints"]) == (PAGE_SIZE + 1, 2)


def test_the_kubeconfig_may_come_from_the_environment(node: Node, serve: Serve) -> None:
    result = node.kpx("plan", KUBECONFIG=serve(service()), NODE_NAME="node")
    assert (result.returncode, result.stderr) == (0, "")
    assert "10.96.0.10" in result.stdout


def test_the_kubeconfig_may_come_from_the_configuration_file(node: Node, serve: Serve) -> None:
    (node.directory / "config.conf").write_text(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\n"
        "kind: KubeProxyConfiguration\n"
        "hostnameOverride: node\n"
        f"clientConnection: {{kubeconfig: {serve(service())}}}\n"
    )
    result = node.kpx("plan", "--config", "config.conf")
    assert result.returncode == 0, result.stderr
    assert "10.96.0.10" in result.stdout


def test_a_node_that_is_not_in_the_cluster_is_worth_a_notice(node: Node, serve: Serve) -> None:
    result = node.kpx("plan", "--kubeconfig", serve(service()), "--node-name", "other")
    assert result.returncode == 0
    assert result.stderr == (
        "notice: the cluster has no Node `other`; `--node-name` names another\n"
    )


def test_a_list_that_is_refused_programs_nothing(node: Node, serve: Serve) -> None:
    kubeconfig = serve(service())
    arguments = ("sync", "--kubeconfig", kubeconfig, "--node-name", "node")
    assert node.kpx(*arguments).returncode == 0
    before = node.run("nft", "list", "ruleset").stdout
    forbidden = {"status": 403, "message": "endpointslices is forbidden"}
    serve(refusals={ENDPOINT_SLICES: [forbidden]})
    result = node.kpx(*arguments)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "error: cannot list endpointslices: not allowed (403): endpointslices is forbidden",
        "hint: grant the verb `list` on `endpointslices`, as the ClusterRole"
        " `system:node-proxier` does",
    ]
    assert node.run("nft", "list", "ruleset").stdout == before


def test_no_server(node: Node) -> None:
    kubeconfig = write_kubeconfig("http://127.0.0.1:1", node.directory)
    result = node.kpx("sync", "--kubeconfig", kubeconfig)
    assert (result.returncode, result.stdout) == (1, "")
    error, hint = result.stderr.splitlines()
    assert error.endswith("`http://127.0.0.1:1` cannot be reached: Connection refused")
    assert hint.startswith("hint: check the address")
