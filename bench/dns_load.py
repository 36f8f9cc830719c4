"""A cluster of many names, dnsperf as its client, and BIND with the same zone beside it."""

import json
import os
import random
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.query

from kpx._core import DnsServer, DnsStore
from kpx.dns import zone_text

ENDPOINTS = 10
"""Of each Service."""
CHANGES_A_SECOND = 100
CONFIG = {"zone": "cluster.local", "ttl": 5, "addresses": ["127.0.0.1"]}


def service(number: int) -> dict[str, Any]:
    """One of two is headless."""
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
    """The slice of a Service; one of its addresses changes with the generation."""
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


def pages(make: Callable[[int], dict[str, Any]], services: int) -> Iterator[bytes]:
    """A list of objects, 500 to a page."""
    for first in range(0, services, 500):
        items = [make(number) for number in range(first, min(first + 500, services))]
        yield json.dumps({"apiVersion": "v1", "kind": "List", "items": items}).encode()


def loaded(services: int) -> DnsStore:
    """The names of so many Services."""
    store = DnsStore(json.dumps(CONFIG))
    for make in (service, endpoint_slice):
        for page in pages(make, services):
            store.feed(page)
    store.complete()
    return store


def listed_again(store: DnsStore, services: int) -> int:
    """Lists everything anew, as after a broken watch; returns the most memory meanwhile, in KiB."""
    most = resident()
    for kind, make in (("Service", service), ("EndpointSlice", endpoint_slice)):
        store.begin_replace(kind)
        for page in pages(make, services):
            store.feed(page)
            most = max(most, resident())
        store.end_replace(kind)
    return max(most, resident())


def write_questions(path: Path, services: int) -> Path:
    """Twenty thousand names of Services, in any order."""
    random.seed(7)
    numbers = [random.randrange(services) for _ in range(20_000)]
    path.write_text("".join(f"s{n}.ns{n % 100}.svc.cluster.local A\n" for n in numbers))
    return path


def resident(pid: int | str = "self") -> int:
    """Resident memory in KiB."""
    found = re.search(r"^VmRSS:\s*(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found.group(1))


@contextmanager
def serving(store: DnsStore, threads: int = 2) -> Iterator[int]:
    """Yields the port."""
    server = DnsServer(store, "127.0.0.1:0", threads, [])
    try:
        yield int((server.address() or "").rsplit(":", 1)[1])
    finally:
        server.stop()


@contextmanager
def changing(store: DnsStore, services: int) -> Iterator[list[int]]:
    """Changes slices all the time; yields how many so far, as one number in a list."""
    stop, done = threading.Event(), [0]

    def change() -> None:
        started = time.monotonic()
        while not stop.is_set():
            number, done[0] = random.randrange(services), done[0] + 1
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


@dataclass(frozen=True)
class Load:
    """What dnsperf saw."""

    answers_a_second: float
    lost: int
    p99: float | None = None
    """In milliseconds, if each answer was noted."""


def dnsperf(port: int, questions: Path, seconds: int, *, notes: Path | None = None) -> Load:
    """Asks as fast as answers come, 100 questions at a time from 8 ports.

    Args:
        port: Of the server on loopback.
        questions: What to ask.
        seconds: How long.
        notes: Note each answer here, at some cost to the client, and tell the 99th percentile.
    """
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(questions)]
    command += ["-l", str(seconds), "-c", "8", "-T", "1", "-q", "100", "-t", "2"]
    if notes is None:
        output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        return _load(output)
    with notes.open("w") as file:
        subprocess.run([*command, "-v"], stdout=file, check=True)
    latencies, rest = [], []
    with notes.open() as file:
        for line in file:
            if line.startswith("> NOERROR "):
                latencies.append(float(line.rsplit(" ", 1)[1]))
            else:
                rest.append(line)
    latencies.sort()
    load = _load("".join(rest))
    return Load(load.answers_a_second, load.lost, 1000 * latencies[len(latencies) * 99 // 100])


def _load(output: str) -> Load:
    completed = _figure(output, r"Queries completed:\s+(\d+)")
    assert _figure(output, r"NOERROR (\d+)") == completed, output
    lost = int(_figure(output, r"Queries lost:\s+(\d+)"))
    return Load(_figure(output, r"Queries per second:\s+([\d.]+)"), lost)


def _figure(output: str, pattern: str) -> float:
    found = re.search(pattern, output)
    assert found, output
    return float(found.group(1))


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
