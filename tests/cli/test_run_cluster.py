"""`kpx run` on a real kernel, watching an API server over HTTP."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fakes.apiserver import ENDPOINT_SLICES, NODES, SERVICES, write_kubeconfig
from fakes.apiserver.process import ApiServerProcess, api_server_process
from nodes import Node
from objects import endpoint_slice, service
from objects import node as node_object

pytestmark = pytest.mark.netns

WAIT_SECONDS = 20
FETCH = (
    "import sys, urllib.request as r, urllib.error as e\n"
    "try: a = r.urlopen(sys.argv[1], timeout=5)\n"
    "except e.HTTPError as error: a = error\n"
    "print(a.status, a.read().decode())"
)


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {what}"
        time.sleep(0.05)


def stamped(item: dict[str, Any], name: str) -> dict[str, Any]:
    metadata = {**item["metadata"], "name": name, "resourceVersion": "1"}
    return {**item, "metadata": metadata}


def slice_of(*addresses: str, name: str = "web-1") -> dict[str, Any]:
    return stamped(endpoint_slice("web", *addresses), name)


def own_node(**spec: Any) -> dict[str, Any]:
    return {**stamped(node_object("node"), "node"), "spec": spec}


@contextmanager
def api_server(node: Node, **objects: list[dict[str, Any]]) -> Iterator[ApiServerProcess]:
    paths = {"services": SERVICES, "slices": ENDPOINT_SLICES, "nodes": NODES}
    preloaded = {paths[name]: items for name, items in objects.items()}
    with api_server_process(node.enter, preloaded) as server:
        write_kubeconfig(server.url, node.directory)
        yield server


@pytest.fixture
def server(node: Node) -> Iterator[ApiServerProcess]:
    with api_server(
        node,
        services=[stamped(service(), "web")],
        slices=[slice_of("10.0.0.1", "10.0.0.2")],
        nodes=[own_node()],
    ) as made:
        yield made


@contextmanager
def agent(node: Node, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    environment = {**os.environ, "KUBECONFIG": "kubeconfig", "NODE_NAME": "node"}
    with subprocess.Popen(
        [*node.enter, sys.executable, "-m", "kpx", "run", *arguments],
        stderr=subprocess.DEVNULL,
        cwd=node.directory,
        env=environment,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def listed(node: Node) -> str:
    return node.run("nft", "list", "table", "ip", "kpx").stdout


def has(node: Node, *addresses: str) -> Callable[[], bool]:
    return lambda: all(f"{address} . 8080" in listed(node) for address in addresses)


def lacks(node: Node, address: str) -> Callable[[], bool]:
    return lambda: f"{address} . 8080" not in listed(node)


def fetch(node: Node, url: str) -> tuple[int, str]:
    result = node.run(sys.executable, "-c", FETCH, url)
    status, _, body = result.stdout.partition(" ")
    return int(status or 0), body


def metric(node: Node, name: str) -> float:
    for line in fetch(node, "http://127.0.0.1:10249/metrics")[1].splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    raise AssertionError(f"no metric `{name}`")


def test_changes_are_followed(node: Node, server: ApiServerProcess) -> None:
    with agent(node):
        eventually(has(node, "10.0.0.1", "10.0.0.2"), "the cluster is programmed")
        server.put(ENDPOINT_SLICES, slice_of("10.0.0.1", "10.0.0.3"))
        eventually(has(node, "10.0.0.3"), "the changed slice is programmed")
        assert lacks(node, "10.0.0.2")()
        server.remove(SERVICES, "default", "web")
        eventually(lambda: "10.96.0.10" not in listed(node), "the deleted Service is gone")


def test_nothing_is_written_before_services_and_slices_are_both_known(node: Node) -> None:
    with (
        api_server(node, services=[stamped(service(), "web")], nodes=[own_node()]) as server,
        agent(node) as process,
    ):
        eventually(lambda: listed(node) != "", "an empty cluster of slices is programmed")
        process.kill()
        process.wait(10)
        before = listed(node)
        server.tell("leave", "")
        with agent(node):
            eventually(
                lambda: metric_or_zero(node, 'kpx_watch_failures{resource="services"}') > 0,
                "the agent has asked",
            )
            assert listed(node) == before
            assert metric(node, "kpx_operations_total") == 0
            server.tell("return", "")
            eventually(lambda: metric(node, "kpx_services") == 1, "the agent has caught up")
            assert metric(node, "kpx_operations_total") == 0


def metric_or_zero(node: Node, name: str) -> float:
    try:
        return metric(node, name)
    except (AssertionError, ValueError):
        return 0.0


def test_no_change_costs_no_operation(node: Node, server: ApiServerProcess) -> None:
    with agent(node):
        eventually(has(node, "10.0.0.1"), "the cluster is programmed")
        eventually(lambda: metric(node, "kpx_operations_total") > 0, "metrics tell of it")
        before = metric(node, "kpx_operations_total")
        partial = 'kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family="IPv4"}'
        syncs = metric(node, partial)
        annotated = slice_of("10.0.0.1", "10.0.0.2")
        annotated["metadata"]["annotations"] = {"a": "b" * 250_000}
        server.put(ENDPOINT_SLICES, annotated)
        server.put(ENDPOINT_SLICES, slice_of("10.0.0.1", "10.0.0.3"))
        eventually(has(node, "10.0.0.3"), "the change behind it is programmed")
        eventually(lambda: metric(node, partial) > syncs, "metrics tell of it")
        assert metric(node, partial) == syncs + 1
        assert metric(node, "kpx_operations_total") > before


def test_a_node_about_to_be_deleted_takes_no_more_from_load_balancers(
    node: Node, server: ApiServerProcess
) -> None:
    healthz = "http://127.0.0.1:10256/healthz"
    with agent(node):
        eventually(has(node, "10.0.0.1"), "the cluster is programmed")
        assert fetch(node, healthz)[0] == 200
        taint = {"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}
        server.put(NODES, own_node(taints=[taint]))
        eventually(lambda: fetch(node, healthz)[0] == 503, "healthz follows the taint")
        assert json.loads(fetch(node, healthz)[1])["nodeEligible"] is False
        assert fetch(node, "http://127.0.0.1:10256/livez")[0] == 200


def test_sigterm_ends_it_quickly_and_leaves_the_rules(node: Node, server: ApiServerProcess) -> None:
    with agent(node) as process:
        eventually(has(node, "10.0.0.1"), "the cluster is programmed")
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - began < 5
    assert has(node, "10.0.0.1", "10.0.0.2")()
