"""`kpx check` in a network namespace of its own."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.test_run import agent, eventually, has
from kpx.check import State
from kpx.check.conflicts import iptables
from kpx.check.needs import kernel
from nodes import Node
from objects import endpoint_slice, service

ANSWER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(sys.argv[2].encode())
server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("up", flush=True)
server.serve_forever()
"""
HEALTH = '{"lastUpdated": "2026-01-01","currentTime": "2026-01-01", "nodeEligible": true}'


@contextmanager
def answering(node: Node, port: int, body: str) -> Iterator[None]:
    command = [*node.enter, sys.executable, "-c", ANSWER, str(port), body]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            yield
        finally:
            process.kill()


def check(node: Node) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code of `kpx check`, and its findings by name."""
    result = node.kpx("check", "-o", "json")
    assert result.stderr == ""
    return result.returncode, {one["name"]: one for one in json.loads(result.stdout)["findings"]}


def states(node: Node) -> dict[str, str]:
    """What is not well."""
    found = check(node)[1]
    return {name: one["state"] for name, one in found.items() if one["state"] != "ok"}


@pytest.fixture
def ready(node: Node) -> Node:
    """A node that forwards."""
    node.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    return node


@pytest.mark.netns
class TestNode:
    def test_all_is_well(self, ready: Node) -> None:
        code, found = check(ready)
        assert code == 0, found
        assert {one["state"] for one in found.values()} == {"ok"}
        assert len(found) == 11

    def test_ipvs_is_looked_for_where_it_is_to_be_used(self, ready: Node) -> None:
        assert "ipvs" not in check(ready)[1]
        result = ready.kpx("check", "--backend", "ipvs", "-o", "json")
        found = {one["name"]: one for one in json.loads(result.stdout)["findings"]}
        # Looking loads it where there is such a module.
        if Path("/proc/net/ip_vs").exists():
            assert (result.returncode, found["ipvs"]["state"]) == (0, "ok")
        else:
            assert (result.returncode, found["ipvs"]["state"]) == (1, "missing")
            assert found["ipvs"]["detail"].startswith("the kernel has no IPVS")
            assert "modprobe -a ip_vs" in found["ipvs"]["hint"]

    def test_text(self, node: Node) -> None:
        node.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=0")
        result = node.kpx("check")
        assert result.returncode == 1
        assert "missing   ipv4-forwarding      `net.ipv4.ip_forward` is off" in result.stdout
        assert "hint: set it with `sysctl -w net.ipv4.ip_forward=1`" in result.stdout

    def test_ipv6_is_needed_where_there_is_an_address(self, ready: Node) -> None:
        ready.run("sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=0")
        assert check(ready)[0] == 0
        ready.run("ip", "address", "add", "2001:db8::1/128", "dev", "lo")
        code, found = check(ready)
        assert (code, found["ipv6-forwarding"]["state"]) == (1, "missing")

    def test_without_the_capability(self, ready: Node) -> None:
        drop = ("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin")
        result = ready.run(*drop, sys.executable, "-m", "kpx", "check", "-o", "json")
        assert result.returncode == 1
        found = {one["name"]: one for one in json.loads(result.stdout)["findings"]}
        assert found["net-admin"]["state"] == "missing"
        assert found["nftables"]["state"] == "missing"
        assert found["kube-proxy-nftables"]["state"] == "unknown"
        assert found["kernel"]["state"] == "ok"

    def test_tables_of_kube_proxy(self, ready: Node) -> None:
        ready.run("nft", "add", "table", "ip6", "kube-proxy")
        code, found = check(ready)
        assert (code, found["kube-proxy-nftables"]["state"]) == (1, "conflict")
        assert "--take-over" in found["kube-proxy-nftables"]["hint"]
        assert len(states(ready)) == 1

    def test_chains_of_iptables(self, ready: Node) -> None:
        ready.run("nft", "add", "table", "ip", "nat")
        # Kubelet makes this one.
        ready.run("nft", "add", "chain", "ip", "nat", "KUBE-KUBELET-CANARY")
        assert states(ready) == {}
        ready.run("nft", "add", "chain", "ip", "nat", "KUBE-SERVICES")
        assert states(ready) == {"kube-proxy-iptables": "conflict"}

    def test_the_interface_of_ipvs(self, ready: Node) -> None:
        made = ready.run("ip", "link", "add", "kube-ipvs0", "type", "veth", "peer", "name", "other")
        assert made.returncode == 0, made.stderr
        assert states(ready) == {"kube-proxy-ipvs": "conflict"}

    def test_ports_that_kube_proxy_answers(self, ready: Node) -> None:
        with answering(ready, 10256, HEALTH), answering(ready, 10249, "iptables"):
            found = check(ready)[1]
        for name in ("healthz-port", "metrics-port"):
            assert found[name]["state"] == "conflict"
            assert found[name]["detail"].endswith("is answered by kube-proxy")

    def test_ports_that_something_else_answers(self, ready: Node) -> None:
        with answering(ready, 10256, "[" * 4000), answering(ready, 10249, "hello"):
            code, found = check(ready)
        for name, flag in (("healthz-port", "--healthz"), ("metrics-port", "--metrics")):
            assert found[name]["state"] == "conflict"
            assert "something else" in found[name]["detail"]
            assert f"{flag}-bind-address" in found[name]["hint"]
        assert code == 1

    def test_the_agent_is_no_conflict(self, ready: Node) -> None:
        ready.write("web.json", service(), endpoint_slice("web", "10.0.0.1"))
        with agent(ready):
            eventually(has(ready, "10.0.0.1"), "the manifest is programmed")
            code, found = check(ready)
        assert code == 0, found
        for name in ("healthz-port", "metrics-port"):
            assert found[name]["detail"].endswith("is answered by `kpx run`")

    def test_a_process_of_this_network_namespace_counts(self, ready: Node) -> None:
        program = ready.directory / "kube-proxy"
        shutil.copy(shutil.which("sleep") or "", program)
        with subprocess.Popen([*ready.enter, program, "60"]) as inside:
            try:
                deadline = time.monotonic() + 20
                while states(ready) != {"kube-proxy-process": "conflict"}:
                    assert time.monotonic() < deadline
                assert str(inside.pid) in check(ready)[1]["kube-proxy-process"]["detail"]
            finally:
                inside.kill()
        with subprocess.Popen([program, "60"]) as outside:
            try:
                assert states(ready) == {}
            finally:
                outside.kill()


@pytest.mark.parametrize(
    ("release", "state"),
    [
        ("5.13.0", State.OK),
        ("5.12.19-generic", State.MISSING),
        ("4.19.0-26-amd64", State.MISSING),
        ("6.1.0-18-amd64", State.OK),
        ("10.0", State.OK),
        ("unnamed", State.UNKNOWN),
    ],
)
def test_kernel_releases(release: str, state: State) -> None:
    assert kernel(release).state is state


def test_legacy_iptables_is_not_taken_for_clean() -> None:
    assert iptables(set(), set()).state is State.OK
    assert iptables(set(), {"filter"}).state is State.OK
    assert iptables(set(), {"filter", "nat"}).state is State.UNKNOWN
    assert iptables({"KUBE-SERVICES"}, {"nat"}).state is State.CONFLICT
