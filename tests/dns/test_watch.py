"""Names of a cluster that changes, through an API server, and the command that serves them."""

import json
import re
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rcode
import pytest
from kubernetes.client import Configuration

from dns_cluster import SQL, endpoint, manifest, slice_of
from dns_peers import free_port, wait_for
from fakes.apiserver import ENDPOINT_SLICES, SERVICES, ApiServer, Fault
from kpx._core import DnsServer, DnsStore
from kpx.dns.manifest_watch import ManifestWatcher
from kpx.dns.watch import Omissions, Watcher
from kpx.kube import Client
from kpx.sources import Manifests

DB = "db.shop.svc.cluster.local"
SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "db", "namespace": "shop"},
    "spec": {"clusterIP": "None", "ports": [{"name": "sql", "port": 5432}]},
}

Ask = Callable[[str], "set[str] | None"]


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer() as running:
        running.preload(SERVICES, [SERVICE])
        running.preload(ENDPOINT_SLICES, [replicas(1)])
        yield running


@pytest.fixture
def ask(api: ApiServer) -> Iterator[Ask]:
    """Asks for A records; `None` where the name does not exist."""
    store = DnsStore(json.dumps({"zone": "cluster.local", "ttl": 5}))
    server = DnsServer(store, "127.0.0.1:0", 1, [])
    address = server.address()
    assert address
    port = int(address.rsplit(":", 1)[1])

    def asked(name: str) -> "set[str] | None":
        query = dns.message.make_query(name, "A")
        response = dns.query.udp(query, "127.0.0.1", port=port, timeout=5)
        if response.rcode() == dns.rcode.NXDOMAIN:
            return None
        assert response.rcode() == dns.rcode.NOERROR
        return {str(record) for rrset in response.answer for record in rrset}

    with Watcher(store, Client(Configuration(host=api.url))) as watcher:
        watcher.wait(20)
        yield asked
    server.stop()


def replicas(count: int, generation: int = 0) -> dict[str, Any]:
    """The slice of a StatefulSet; a Pod that restarts gets another address."""
    pods = [endpoint(f"10.244.{generation}.{number}", f"db-{number}") for number in range(count)]
    return slice_of("db", "db-1", pods, SQL)


def until(ask: Ask, name: str, expected: "set[str] | None") -> float:
    """Waits for an answer; returns the seconds it took."""
    started = time.monotonic()
    while ask(name) != expected:
        assert time.monotonic() - started < 20, (name, expected, ask(name))
    return time.monotonic() - started


def test_stateful_set_scales_and_restarts(api: ApiServer, ask: Ask) -> None:
    delays = []
    for count in range(2, 12):
        api.put(ENDPOINT_SLICES, replicas(count))
        number = count - 1
        delays.append(until(ask, f"db-{number}.{DB}", {f"10.244.0.{number}"}))
    for count in range(10, 2, -1):
        api.put(ENDPOINT_SLICES, replicas(count))
        until(ask, f"db-{count}.{DB}", None)
        assert ask(DB) == {f"10.244.0.{number}" for number in range(count)}
    for generation in range(1, 6):
        api.put(ENDPOINT_SLICES, replicas(3, generation))
        delays.append(until(ask, f"db-0.{DB}", {f"10.244.{generation}.0"}))
        for _ in range(20):
            # What is gone never comes back.
            assert ask(f"db-1.{DB}") == {f"10.244.{generation}.1"}
            assert ask(DB) == {f"10.244.{generation}.{number}" for number in range(3)}
    # The median, for the machine may have other things to do in between.
    assert statistics.median(delays) < 0.1, delays


def test_names_survive_a_watch_that_breaks(api: ApiServer, ask: Ask) -> None:
    api.inject(ENDPOINT_SLICES, Fault("cut in line"))
    api.put(ENDPOINT_SLICES, replicas(2))
    assert ask(DB) in ({"10.244.0.0"}, {"10.244.0.0", "10.244.0.1"})
    until(ask, DB, {"10.244.0.0", "10.244.0.1"})


def test_what_is_left_out_is_told_once(
    api: ApiServer, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    store = DnsStore(json.dumps({"zone": "cluster.local", "ttl": 5}))
    tell = Omissions(store).tell
    spec = {"type": "ExternalName", "externalName": "192.0.2.1"}
    metadata = {"name": "literal", "namespace": "shop"}
    api.put(SERVICES, {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    with Watcher(store, Client(Configuration(host=api.url)), tell) as watcher:
        watcher.wait(20)
        api.put(ENDPOINT_SLICES, replicas(2))
        name = f"db-1.{DB}"
        deadline = time.monotonic() + 20
        while json.loads(store.query(name, "A"))["rcode"] != "NOERROR":
            assert time.monotonic() < deadline
    told = [record.getMessage() for record in caplog.records if "rejected" in record.getMessage()]
    assert told == [
        "rejected: Service `shop/literal`: spec.externalName: `192.0.2.1` is not a domain name"
    ]


def test_manifests_that_cannot_be_read_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(manifest())
    config = json.dumps({"zone": "cluster.local", "ttl": 5})
    store = DnsStore(config)
    Manifests([str(path)]).load(store)
    store.complete()
    changes: list[None] = []

    def rcode(name: str) -> str:
        return str(json.loads(store.query(f"{name}.shop.svc.cluster.local", "A"))["rcode"])

    def replace(text: str) -> None:
        fresh = path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(path)

    with ManifestWatcher(
        store, lambda: DnsStore(config), [str(path)], lambda: changes.append(None)
    ) as watcher:
        replace("{broken")
        wait_for(lambda: watcher.failures == 1)
        assert (rcode("web"), rcode("new"), changes) == ("NOERROR", "NXDOMAIN", [])
        service = {**SERVICE, "metadata": {"name": "new", "namespace": "shop"}}
        service["spec"] = {"clusterIP": "10.96.0.9", "ports": [{"port": 80}]}
        replace(json.dumps(service))
        wait_for(lambda: rcode("new") == "NOERROR" and bool(changes))
        assert rcode("web") == "NXDOMAIN", "what is no longer there is gone"


def test_query_command_says_who_is_asked_upstream(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(manifest())
    command = [sys.executable, "-m", "kpx", "dns", "query", "away.shop.svc.cluster.local"]
    command += ["-f", str(tmp_path / "manifest.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.stdout.splitlines() == [
        "NOERROR",
        "answer     away.shop.svc.cluster.local. 5 CNAME www.example.org.",
        "upstream   www.example.org. A",
        "service    shop/away",
    ]


def test_serve_command(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(manifest())
    command = [sys.executable, "-m", "kpx", "dns", "serve", "-f", str(tmp_path / "manifest.json")]
    command += ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--threads", "1"]
    command += ["--log-queries"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        assert "`192.0.2.1` is not a domain name" in process.stderr.readline()
        found = re.search(r"on 127\.0\.0\.1:(\d+)$", process.stderr.readline().strip())
        assert found
        query = dns.message.make_query("web.shop.svc.cluster.local", "A")
        response = dns.query.udp(query, "127.0.0.1", port=int(found.group(1)), timeout=5)
        assert str(response.answer[0][0]) == "10.96.0.10"
        line = process.stderr.readline()
        assert re.fullmatch(
            rf'127\.0\.0\.1:\d+ - {query.id} "A IN web\.shop\.svc\.cluster\.local\. udp 44"'
            r" NOERROR qr,aa,rd \d+ 0\.\d{6}s\n",
            line,
        ), line
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 3
        process.stderr.close()


def test_p17_lame_duck_answers_until_clients_have_gone_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(manifest())
    command = [sys.executable, "-m", "kpx", "dns", "serve", "-f", str(tmp_path / "manifest.json")]
    http = free_port()
    command += ["--listen", "127.0.0.1:0", "--http", f"127.0.0.1:{http}", "--lame-duck", "30"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        line = ""
        while "answering" not in line:
            line = process.stderr.readline()
            assert line, "it does not start"
        port = int(line.rsplit(":", 1)[1])
        query = dns.message.make_query("web.shop.svc.cluster.local", "A")

        def is_ready() -> bool:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{http}/readyz", timeout=5):
                    return True
            except urllib.error.HTTPError as refusal:
                with refusal:
                    return False

        assert is_ready()
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: not is_ready())
        response = dns.query.udp(query, "127.0.0.1", port=port, timeout=5)
        assert str(response.answer[0][0]) == "10.96.0.10"
        # Who is told a second time goes at once.
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 3
    finally:
        process.kill()
        process.wait(20)
        process.stderr.close()


def test_p17_p18_health_readiness_and_metrics() -> None:
    from kpx.dns.http import http_server

    store = DnsStore(json.dumps({"zone": "cluster.local", "ttl": 5}))
    server = DnsServer(store, "127.0.0.1:0", 1, [])
    store.feed(json.dumps(SERVICE).encode())
    changed = replicas(1)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
    changed["metadata"]["annotations"] = {"endpoints.kubernetes.io/last-change-trigger-time": now}
    store.feed_event(json.dumps({"type": "ADDED", "object": changed}).encode())
    ready = False
    with http_server(("127.0.0.1", 0), store, server, lambda: ready) as pages:
        port = pages.port

        def get(path: str) -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as page:
                    return page.status, page.read().decode()
            except urllib.error.HTTPError as refusal:
                with refusal:
                    return refusal.code, ""

        assert get("/healthz")[0] == 200
        assert get("/readyz")[0] == 503
        ready = True
        assert get("/readyz")[0] == 200
        status, text = get("/metrics")
    server.stop()
    assert status == 200
    assert 'coredns_dns_responses_total{rcode="NOERROR"} 0.0' in text
    kind = 'service_kind="headless_without_selector"'
    assert f"coredns_kubernetes_dns_programming_duration_seconds_count{{{kind}}} 1.0" in text
