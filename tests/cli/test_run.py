"""`kpx run` on a real kernel, following manifests."""

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

from nodes import Node
from objects import endpoint_slice, service

pytestmark = pytest.mark.netns

WAIT_SECONDS = 20
TABLE = ("nft", "list", "table", "ip", "kpx")
FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode())"


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {what}"
        time.sleep(0.05)


@contextmanager
def agent(node: Node, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [*node.enter, sys.executable, "-m", "kpx", "run", "-f", "web.json", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        cwd=node.directory,
        env={**os.environ, "NODE_NAME": "node"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def listed(node: Node) -> str:
    return node.run(*TABLE).stdout


def has(node: Node, *addresses: str) -> Callable[[], bool]:
    return lambda: all(address in listed(node) for address in addresses)


def write(node: Node, *addresses: str) -> None:
    """Replaces the manifest as an editor does: in one step."""
    name = node.write("next.json", service(), endpoint_slice("web", *addresses))
    (node.directory / name).rename(node.directory / "web.json")


def fetch(node: Node, url: str) -> str:
    result = node.run(sys.executable, "-c", FETCH, url)
    assert result.returncode == 0, result.stderr
    return result.stdout


def metric(node: Node, name: str) -> float:
    for line in fetch(node, "http://127.0.0.1:10249/metrics").splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    raise AssertionError(f"no metric `{name}`")


def generation(node: Node) -> str:
    return node.run("nft", "-a", "list", "ruleset").stdout


def test_manifests_are_followed_and_rules_stay_after_sigterm(node: Node) -> None:
    write(node, "10.0.0.1", "10.0.0.2")
    with agent(node) as process:
        eventually(has(node, "10.0.0.1", "10.0.0.2"), "the first manifest is programmed")
        write(node, "10.0.0.1", "10.0.0.3")
        eventually(has(node, "10.0.0.3"), "the second manifest is programmed")
        assert "10.0.0.2 " not in listed(node)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - began < 5
    assert "10.0.0.3" in listed(node)


def test_a_restart_writes_nothing(node: Node) -> None:
    write(node, "10.0.0.1")
    with agent(node) as process:
        eventually(has(node, "10.0.0.1"), "the manifest is programmed")
        process.kill()
        process.wait(10)
    before = generation(node)
    with agent(node):
        eventually(lambda: healthy(node), "the second agent is up")
        eventually(lambda: metric(node, "kpx_services") == 1, "the second agent has looked")
        assert metric(node, "kpx_operations_total") == 0
    assert generation(node) == before


def healthy(node: Node) -> bool:
    result = node.run(sys.executable, "-c", FETCH, "http://127.0.0.1:10256/healthz")
    return result.returncode == 0


def test_what_others_change_is_mended(node: Node) -> None:
    write(node, "10.0.0.1", "10.0.0.2")
    with agent(node):
        eventually(has(node, "10.0.0.1", "10.0.0.2"), "the manifest is programmed")
        whole = listed(node)
        for edit in (
            ("delete", "table", "ip", "kpx"),
            ("flush", "map", "ip", "kpx", "endpoints"),
            ("add", "chain", "ip", "kpx", "foreign"),
        ):
            changed = node.run("nft", *edit)
            assert changed.returncode == 0, changed.stderr
            eventually(
                lambda: sorted(listed(node).split()) == sorted(whole.split()),
                f"`nft {' '.join(edit)}` is mended",
            )


def test_foreign_tables_are_left_alone(node: Node) -> None:
    node.run("nft", "add", "table", "ip", "kube-proxy")
    write(node, "10.0.0.1")
    with agent(node, "--cleanup-on-exit") as process:
        eventually(has(node, "10.0.0.1"), "the manifest is programmed")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert node.run("nft", "list", "tables").stdout == "table ip kube-proxy\n"


def test_a_broken_manifest_changes_nothing_and_is_named(node: Node) -> None:
    write(node, "10.0.0.1")
    with agent(node) as process:
        eventually(has(node, "10.0.0.1"), "the manifest is programmed")
        assert process.stderr is not None
        (node.directory / "web.json").write_text('{"kind": "List", "items": [')
        line = ""
        while "error" not in line:
            line = process.stderr.readline()
            assert line, "the agent ended"
        assert "web.json" in line
        assert "stays programmed" in line
        assert "10.0.0.1" in listed(node)
        write(node, "10.0.0.9")
        eventually(has(node, "10.0.0.9"), "the mended manifest is programmed")


def test_the_second_agent_says_so(node: Node) -> None:
    write(node, "10.0.0.1")
    with agent(node):
        eventually(has(node, "10.0.0.1"), "the manifest is programmed")
        second = node.kpx("run", "-f", "web.json")
        assert second.returncode == 1
        assert "error: another `kpx run` programs this node" in second.stderr


def test_health_metrics_and_mode(node: Node) -> None:
    write(node, "10.0.0.1", "10.0.0.2")
    with agent(node):
        eventually(has(node, "10.0.0.1"), "the manifest is programmed")
        eventually(lambda: healthy(node), "healthz answers")
        body: dict[str, Any] = json.loads(fetch(node, "http://127.0.0.1:10256/healthz"))
        assert set(body) == {"lastUpdated", "currentTime", "nodeEligible"}
        assert set(json.loads(fetch(node, "http://127.0.0.1:10256/livez"))) == {
            "lastUpdated",
            "currentTime",
        }
        assert fetch(node, "http://127.0.0.1:10249/proxyMode") == "nftables\n"
        eventually(lambda: metric(node, "kpx_endpoints") == 2, "metrics tell of the endpoints")
        assert (
            metric(node, 'kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"}') > 0
        )
        assert (
            metric(node, 'kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"}') > 0
        )
        assert metric(node, "kpx_operations_total") > 0


def test_wrong_usage(node: Node) -> None:
    for arguments, said in (
        (("-f", "-"), "standard input cannot be followed"),
        (("-f", "absent.json"), "`absent.json` does not exist"),
        (("-f", "web.json", "--metrics-bind-address", "10249"), "is no `ADDRESS:PORT`"),
    ):
        write(node, "10.0.0.1")
        result = node.kpx("run", *arguments)
        assert result.returncode == 1
        assert said in result.stderr
    assert node.run("nft", "list", "tables").stdout == ""
