"""Answers a second of 10,000 Services with 100,000 endpoints, beside BIND's on the same zone.

dnsperf shares the cores with the server; while kpx is asked, 100 EndpointSlices a second change.
"""

import json
import os
import random
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.query
import pytest

from kpx._core import DnsServer, DnsStore
from kpx.dns import zone_text

from .conftest import Record, scaled

pytestmark = pytest.mark.timeout(900)

SERVICES = scaled(10_000)
ENDPOINTS = 10
SECONDS = 10
CHANGES_A_SECOND = 100
CONFIG = {"zone": "cluster.local", "ttl": 5, "addresses": ["127.0.0.1"]}


def service(number: int) -> dict[str, Any]:
    address = f"10.{96 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"s{number}", "namespace": f"ns{number % 100}"},
        "spec": {
            "clusterIP": "None" if number % 2 else address,
            "ports": [{"name": "http", "port": 80}],
        },
    }


def endpoint_slice(number: int, generation: int = 0) -> dict[str, Any]:
    addresses = [number * ENDPOINTS + one for one in range(ENDPOINTS)]
    addresses[0] += (generation % 2) << 21
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"s{number}-a",
            "namespace": f"ns{number % 100}",
            "labels": {"kubernetes.io/service-name": f"s{number}"},
        },
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": [f"10.{128 + (one >> 16)}.{one >> 8 & 255}.{one & 255}"]}
            for one in addresses
        ],
        "ports": [{"name": "http", "port": 8080}],
    }


def loaded() -> DnsStore:
    store = DnsStore(json.dumps(CONFIG))
    for make in (service, endpoint_slice):
        for first in range(0, SERVICES, 500):
            numbers = range(first, min(first + 500, SERVICES))
            items = [make(number) for number in numbers]
            frame = {"apiVersion": "v1", "kind": "List", "items": items}
            store.feed(json.dumps(frame).encode())
    store.complete()
    return store


def resident(pid: int | str = "self") -> int:
    """Resident memory in KiB."""
    found = re.search(r"^VmRSS:\s*(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found.group(1))


@contextmanager
def changing(store: DnsStore) -> Iterator[list[int]]:
    stop, done = threading.Event(), [0]

    def change() -> None:
        started = time.monotonic()
        while not stop.is_set():
            number, done[0] = random.randrange(SERVICES), done[0] + 1
            event = {"type": "MODIFIED", "object": endpoint_slice(number, done[0])}
            store.feed_event(json.dumps(event).encode())
            stop.wait(max(0.0, started + done[0] / CHANGES_A_SECOND - time.monotonic()))

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


def dnsperf(port: int, questions: Path, *options: str) -> str:
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(questions)]
    command += ["-l", str(SECONDS), "-c", "8", "-T", "1", "-q", "100", *options]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def figure(output: str, pattern: str) -> float:
    found = re.search(pattern, output)
    assert found, output
    return float(found.group(1))


def answers_a_second(output: str) -> float:
    completed = figure(output, r"Queries completed:\s+(\d+)")
    assert figure(output, r"NOERROR (\d+)") == completed, output
    return figure(output, r"Queries per second:\s+([\d.]+)")


def p99(port: int, questions: Path) -> float:
    """In milliseconds, at a tenth of the target: dnsperf gives each latency with its answer."""
    output = dnsperf(port, questions, "-v", "-Q", "10000")
    latencies = sorted(float(one) for one in re.findall(r"^> NOERROR .* ([\d.]+)$", output, re.M))
    return 1000 * latencies[len(latencies) * 99 // 100]


@contextmanager
def bind(store: DnsStore, directory: Path) -> Iterator[tuple[int, int]]:
    """A BIND with the same zone; yields its port and process."""
    (directory / "zone").write_text(zone_text(store.records("cluster.local")))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (directory / "named.conf").write_text(
        f'options {{ directory "{directory}"; listen-on port {port} {{ 127.0.0.1; }};'
        " listen-on-v6 { none; }; recursion no; pid-file none; minimal-responses yes;"
        f' session-keyfile "{directory}/session.key"; }};\ncontrols {{ }};\n'
        'zone "cluster.local" { type primary; file "zone"; check-names ignore; };\n'
    )
    program = shutil.which("named", path=os.environ["PATH"] + ":/usr/sbin")
    assert program
    process = subprocess.Popen(
        [program, "-g", "-c", str(directory / "named.conf")], stderr=subprocess.DEVNULL
    )
    try:
        query = dns.message.make_query("cluster.local", "SOA")
        deadline = time.monotonic() + 60
        while True:
            try:
                if dns.query.udp(query, "127.0.0.1", port=port, timeout=1).rcode() == 0:
                    break
            except (OSError, dns.exception.DNSException):
                time.sleep(0.1)
            assert time.monotonic() < deadline
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def test_answers_beside_bind(record: Record, tmp_path: Path) -> None:
    store = loaded()
    before = resident()
    random.seed(7)
    numbers = [random.randrange(SERVICES) for _ in range(20_000)]
    questions = tmp_path / "questions"
    questions.write_text("".join(f"s{n}.ns{n % 100}.svc.cluster.local A\n" for n in numbers))
    server = DnsServer(store, "127.0.0.1:0", 2, [])
    port = int((server.address() or "").rsplit(":", 1)[1])
    with changing(store) as done:
        output = dnsperf(port, questions)
        changes = done[0] / SECONDS
        latency = p99(port, questions)
    server.stop()
    ours, lost = answers_a_second(output), figure(output, r"Queries lost:\s+(\d+)")
    with bind(store, tmp_path) as (bind_port, bind_process):
        theirs = answers_a_second(dnsperf(bind_port, questions))
        bind_memory = resident(bind_process)
    names = f"{SERVICES:,} Services"
    record(f"DNS answers a second, {names}", f"{ours:,.0f}", ">= 100,000")
    record("  changes a second meanwhile, lost", f"{changes:.0f}, {lost:.0f}", "100, 0")
    record("  p99 at 10,000 a second", f"{latency:.2f} ms", "< 5 ms")
    record("  memory, Python included", f"{before >> 10} MiB", "<= 150 MiB")
    record("  BIND on the same zone", f"{theirs:,.0f}, {bind_memory >> 10} MiB")
    record("  kpx / BIND", f"{ours / theirs:.2f}", ">= 1")
    assert ours > 0.7 * theirs
