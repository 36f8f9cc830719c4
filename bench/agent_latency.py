"""Events over loopback HTTP to `kpx run`: `agent_latency [SERVICES ENDPOINTS EVENTS SECONDS]`.

Serves a cluster of 10,000 Services with 10 endpoints each, starts the agent beside it, writes 500
watch events, and times each until the kernel's ruleset has a new generation, which it gets with
the commit. Then sends 1,000 events a second for 60 s, and times each until the kernel tells of the
endpoint it brought; and one burst. Runs in the network namespace it programs.
"""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import cases
from .list_watch import ListWatch

DEFAULTS = (10_000, 10, 500, 60)
RATE = 1_000
"""Events a second of the steady load."""

# <linux/netlink.h>, <linux/netfilter/nfnetlink.h>, <linux/netfilter/nf_tables.h>
NETLINK_NETFILTER, NFNLGRP_NFTABLES, NFT_MSG_NEWGEN = 12, 7, 15


_REPLACED = re.compile(rb"\x0a\xff(.)(.)", re.DOTALL)
"""The address of an endpoint that an event brought: 10.255.0.0/16, and the number of the event."""


class Commits:
    """Tells of each commit to the kernel's ruleset."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self._socket.bind((0, 1 << (NFNLGRP_NFTABLES - 1)))

    def wait(self, seconds: float) -> bool:
        """Waits until a commit ends, and says whether one did in time."""
        deadline = time.perf_counter() + seconds
        while (left := deadline - time.perf_counter()) > 0:
            self._socket.settimeout(left)
            try:
                message = self._socket.recv(1 << 20)
            except TimeoutError:
                return False
            except OSError:  # more than fits was lost
                return True
            if _has_generation(message):
                return True
        return False

    def endpoints(self, stop: threading.Event) -> dict[int, float]:
        """When each endpoint that an event brought was committed first, by the event's number."""
        found: dict[int, float] = {}
        while not stop.is_set():
            self._socket.settimeout(0.3)
            try:
                message = self._socket.recv(1 << 20)
            except OSError:  # nothing came, or more than fits was lost
                continue
            now = time.perf_counter()
            for high, low in _REPLACED.findall(message):
                found.setdefault(high[0] * 250 + low[0] - 1, now)
        return found

    def drain(self) -> None:
        """Forgets the commits so far."""
        while self.wait(0.05):
            pass


def _has_generation(message: bytes) -> bool:
    offset = 0
    while offset + 16 <= len(message):
        length, kind = struct.unpack_from("=IH", message, offset)
        if kind & 0xFF == NFT_MSG_NEWGEN:
            return True
        offset += (length + 3) & ~3 or 16
    return False


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel tells no peak")


def main() -> None:
    """Prints the figures as a JSON object."""
    given = [int(argument) for argument in sys.argv[1:]]
    services, endpoints, events, seconds = [*given, *DEFAULTS[len(given) :]]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    server = ListWatch(services, endpoints)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "clusters": [{"name": "bench", "cluster": {"server": server.url}}],
        "users": [{"name": "bench", "user": {"token": "bench"}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
    }
    commits = Commits()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as kubeconfig:
        kubeconfig.write(json.dumps(config))
        kubeconfig.flush()
        started = time.perf_counter()
        agent = subprocess.Popen(
            [
                *(sys.executable, "-m", "kpx", "run", f"--kubeconfig={kubeconfig.name}"),
                *(f"--cluster-cidr={cases.CLUSTER_CIDR}", f"--node-name={cases.NODE_NAME}"),
            ],
            stderr=subprocess.DEVNULL,
        )
        try:
            assert commits.wait(60), "nothing was programmed"
            start_seconds = time.perf_counter() - started
            print(
                json.dumps(
                    _measure(server, commits, agent, services, endpoints, events, seconds)
                    | {"start_seconds": start_seconds}
                )
            )
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.wait(20)


def _measure(
    server: ListWatch,
    commits: Commits,
    agent: "subprocess.Popen[bytes]",
    services: int,
    endpoints: int,
    events: int,
    seconds: int,
) -> dict[str, object]:
    server.wait_for_watches(60)
    commits.drain()

    def line(number: int) -> bytes:
        return cases.slice_event(number * 7919 % services, endpoints, number)

    milliseconds = []
    number = 0
    for _ in range(events):
        number += 1
        event = line(number)
        began = time.perf_counter()
        server.send(event)
        assert commits.wait(10), "an event was not programmed"
        milliseconds.append((time.perf_counter() - began) * 1e3)
        # The agent is idle again when the next event comes.
        time.sleep(0.03)
    first = number + 1
    lines = [line(first + n) for n in range(RATE * seconds)]
    number += len(lines)
    commits.drain()
    stop = threading.Event()
    with ThreadPoolExecutor() as pool:
        committed = pool.submit(commits.endpoints, stop)
        sent = []
        cpu, began = _cpu(agent.pid), time.perf_counter()
        for index, event in enumerate(lines):
            if (ahead := began + index / RATE - time.perf_counter()) > 0:
                time.sleep(ahead)
            sent.append(time.perf_counter())
            server.send(event)
        took = time.perf_counter() - began
        cpu = _cpu(agent.pid) - cpu
        time.sleep(1)
        stop.set()
        at = committed.result()
    lags = [at[first + n] - moment for n, moment in enumerate(sent) if first + n in at]
    touched = min(5_000, services)
    burst = b"\n".join(line(number + n) for n in range(1, touched + 1))
    commits.drain()
    burst_began = time.perf_counter()
    server.send(burst)
    burst_end = burst_began
    while commits.wait(1.5):
        burst_end = time.perf_counter()
    return {
        "milliseconds": milliseconds,
        "events_per_second": len(lines) / took if lines else 0,
        "cores": cpu / took,
        "lag_milliseconds": [lag * 1e3 for lag in lags],
        "unseen": len(sent) - len(lags),
        "burst_seconds": burst_end - burst_began,
        "peak_bytes": _peak_bytes(agent.pid),
    }


if __name__ == "__main__":
    main()
