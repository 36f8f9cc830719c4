"""A StatefulSet from its Pods to its names: API server, `kpx controller` and name server."""

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.message
import dns.query
import dns.rcode
from kubernetes.client import Configuration

from controller.harness import running
from dns_peers import Address
from fakes.apiserver import NODES, PODS, SERVICES, ApiServer
from kpx._core import DnsServer, DnsStore
from kpx.dns.watch import Watcher
from kpx.kube import Client
from objects import node, pod, service

DB = "db.default.svc.cluster.local."
PATIENCE = 20.0


@dataclass(frozen=True)
class Seen:
    """What a client was told, and when it asked and knew."""

    name: str
    asked: float
    answered: float
    addresses: frozenset[str]


class Asker(threading.Thread):
    """Asks for the Service and its Pods until it is told to stop."""

    def __init__(self, server: Address, stop: threading.Event, over_tcp: bool) -> None:
        super().__init__()
        self.seen: list[Seen] = []
        self.failures: list[BaseException] = []
        self._server = server
        self._stop_event = stop
        self._ask = dns.query.tcp if over_tcp else dns.query.udp

    def run(self) -> None:
        names = [DB, *(f"db-{number}.{DB}" for number in range(6))]
        try:
            while not self._stop_event.is_set():
                for name in names:
                    self.seen.append(self.ask(name))
        except BaseException as failure:
            self.failures.append(failure)

    def ask(self, name: str) -> Seen:
        asked = time.monotonic()
        query = dns.message.make_query(name, "A")
        response = self._ask(query, self._server[0], port=self._server[1], timeout=PATIENCE)
        assert response.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
        addresses = frozenset(str(record) for rrset in response.answer for record in rrset)
        return Seen(name, asked, time.monotonic(), addresses)


@dataclass
class Set:
    """The Pods as the StatefulSet controller would make them; each gets an address of its own."""

    api: ApiServer
    server: Address
    pods: dict[int, str] = field(default_factory=dict)
    delays: list[float] = field(default_factory=list)
    """From a Pod that is ready to its name, in seconds."""
    ready: dict[str, float] = field(default_factory=dict)
    """When each address became ready."""
    made: int = 0

    def start(self, number: int) -> None:
        """Makes a Pod, waits a while until it is ready, and then for its name."""
        self.made += 1
        address = f"10.244.0.{self.made}"
        self._put(number, address, ready=False)
        time.sleep(random.uniform(0, 0.02))
        self.ready[address] = time.monotonic()
        self._put(number, address, ready=True)
        self.pods[number] = address
        self.delays.append(self._wait(number, {address}))

    def stop(self, number: int) -> None:
        """Deletes a Pod, and waits until its name is gone."""
        self.api.remove(PODS, "default", f"db-{number}")
        del self.pods[number]
        self._wait(number, set())

    def restart(self, number: int) -> None:
        self.stop(number)
        self.start(number)

    def _put(self, number: int, address: str, *, ready: bool) -> None:
        name = f"db-{number}"
        metadata = {"labels": {"app": "db"}, "uid": f"uid-{self.made}"}
        spec = {"hostname": name, "subdomain": "db"}
        self.api.put(PODS, pod(name, address, ready=ready, metadata=metadata, spec=spec))

    def _wait(self, number: int, expected: set[str]) -> float:
        started = time.monotonic()
        asker = Asker(self.server, threading.Event(), over_tcp=False)
        while asker.ask(f"db-{number}.{DB}").addresses != expected:
            assert time.monotonic() - started < PATIENCE, (number, expected)
        return time.monotonic() - started


@contextmanager
def stateful_set() -> Iterator[Set]:
    """The API server, the controller and the name server, and a set without a Pod."""
    store = DnsStore(json.dumps({"zone": "cluster.local", "ttl": 5}))
    server = DnsServer(store, "127.0.0.1:0", 2, [])
    host, port = (server.address() or "").rsplit(":", 1)
    with ApiServer() as api:
        api.put(NODES, node())
        headless = {"clusterIP": "None", "clusterIPs": ["None"], "selector": {"app": "db"}}
        api.put(SERVICES, service("db", **headless))
        with running(api), Watcher(store, Client(Configuration(host=api.url))) as watcher:
            watcher.wait(PATIENCE)
            yield Set(api, (host, int(port)))
    server.stop()
