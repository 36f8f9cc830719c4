"""The controller without a network: a first pass, one Pod that changes, and a rolling update.

What writes is replaced by something that answers as the API server does and counts.
"""

import itertools
import json
import os
import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kpx.controller import Controller, Scope
from kpx.endpointslices import Policy
from kpx.kube import Client

from .conftest import Record, scaled
from .rolling_update import Slice, upstream_sync

pytestmark = pytest.mark.timeout(900)

Object = dict[str, Any]

PODS_PER_SERVICE = 15
NODES = 100


class Answering(Client):
    """Keeps what is written, and shows it to the controller's cache, as a watch would."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._versions = itertools.count(1)
        self.writes = 0

    def create(self, resource: Any, namespace: Any, name: str, body: Any) -> bytes:
        return self._keep("ADDED", body, f"{name}{next(self._versions)}", 1)

    def update(self, resource: Any, namespace: Any, name: str, body: Any) -> bytes:
        known = self._controller.pod_slices.slices.cache.objects[namespace, name]
        return self._keep("MODIFIED", body, name, known.generation + 1)

    def delete(self, resource: Any, namespace: Any, name: str, body: Any = b"") -> bytes:
        self.writes += 1
        gone = {"metadata": {"namespace": namespace, "name": name}}
        self._controller.pod_slices.slices.cache.feed_event(event("DELETED", gone))
        return b"{}"

    def _keep(self, kind: str, body: Object, name: str, generation: int) -> bytes:
        self.writes += 1
        version = str(next(self._versions))
        metadata = {
            **body["metadata"],
            "name": name,
            "uid": f"uid-{name}",
            "generation": generation,
            "resourceVersion": version,
        }
        kept = {**body, "metadata": metadata}
        self._controller.pod_slices.slices.cache.feed_event(event(kind, kept))
        return json.dumps(kept).encode()


def event(kind: str, shown: Object) -> bytes:
    return json.dumps({"type": kind, "object": shown}).encode()


def service(number: int, namespace: str) -> Object:
    return {
        "metadata": {
            "namespace": namespace,
            "name": f"s{number}",
            "uid": f"uid-s{number}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "clusterIP": "10.96.0.1",
            "ipFamilies": ["IPv4"],
            "selector": {"app": f"a{number}", "tier": "web"},
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def pod(name: str, number: int, address: int, namespace: str, *, ready: bool = True) -> Object:
    """A Pod of Service `number`, with the size of a real one."""
    filler = [{"name": f"VARIABLE_{one}", "value": "x" * 40} for one in range(20)]
    return {
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": f"00000000-0000-0000-0000-{address:012d}",
            "labels": {"app": f"a{number}", "tier": "web", "pod-template-hash": f"h{number}"},
        },
        "spec": {
            "nodeName": f"node-{address % NODES}",
            "containers": [
                {"name": "main", "env": filler, "ports": [{"name": "http", "containerPort": 8080}]}
            ],
        },
        "status": {
            "phase": "Running",
            "podIPs": [{"ip": f"10.{address >> 16}.{address >> 8 & 255}.{address & 255}"}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def page(items: list[Object]) -> bytes:
    return json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}).encode()


def feed_cluster(controller: Controller, services: int, namespaces: int) -> None:
    controller.state.nodes.feed(
        page(
            [
                {
                    "metadata": {
                        "name": f"node-{one}",
                        "labels": {"topology.kubernetes.io/zone": f"zone-{one % 3}"},
                    }
                }
                for one in range(NODES)
            ]
        )
    )
    for number in range(services):
        namespace = f"n{number % namespaces}"
        controller.state.services.feed(page([service(number, namespace)]))
        controller.state.pods.feed(
            page(
                [
                    pod(f"s{number}-{one}", number, number * PODS_PER_SERVICE + one, namespace)
                    for one in range(PODS_PER_SERVICE)
                ]
            )
        )


def sync_all(controller: Controller, client: Client) -> None:
    for key in list(controller.state.services.objects):
        controller.pod_slices.sync(client, key, lambda: False)


@contextmanager
def real_time() -> Iterator[None]:
    """What else the machine does must not show as a percentile."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_a_first_pass(record: Record) -> None:
    services = scaled(10_000)
    controller = Controller(Scope())
    client = Answering(controller)
    before, started = resident_bytes(), time.process_time()
    feed_cluster(controller, services, 50)
    fed = resident_bytes() - before
    sync_all(controller, client)
    seconds = time.process_time() - started
    published = resident_bytes() - before

    pods = len(controller.state.pods.store)
    record(
        f"controller, first pass, {services:,} x {PODS_PER_SERVICE}", f"{seconds:.1f} s CPU", "60 s"
    )
    record(f"controller, memory of {pods:,} Pods and their Services", f"{fed >> 20} MiB", "400 MB")
    record("controller, the same with their slices", f"{published >> 20} MiB", "400 MB")
    assert client.writes == services
    assert seconds < 60
    assert published < 400e6


def test_one_pod_changes_among_many_services(record: Record) -> None:
    services = scaled(1_000)
    controller = Controller(Scope())
    client = Answering(controller)
    feed_cluster(controller, services, 1)
    sync_all(controller, client)
    taken = []
    before = client.writes
    with real_time():
        for round_number in range(500):
            number = round_number % services
            is_ready = bool(round_number // services % 2)
            address = number * PODS_PER_SERVICE
            line = event("MODIFIED", pod(f"s{number}-0", number, address, "n0", ready=is_ready))
            started = time.perf_counter()
            controller.state.pods.feed_event(line)
            controller.pod_slices.sync(client, ("n0", f"s{number}"), lambda: False)
            taken.append(time.perf_counter() - started)
    p50, p99 = statistics.median(taken), statistics.quantiles(taken, n=100)[98]
    record(
        f"controller, a Pod changes among {services:,} Services of one namespace",
        f"p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms",
        "p99 5 ms",
    )
    assert client.writes == before + 500
    assert p99 < 5e-3


def test_a_rolling_update_writes_no_more_than_upstream(record: Record) -> None:
    pods, limit = scaled(5_000), 100
    step = pods // 20
    controller = Controller(Scope(policy=Policy(max_endpoints_per_slice=limit)))
    client = Answering(controller)
    feed_cluster(controller, 0, 1)
    controller.state.services.feed(page([service(0, "n0")]))
    slices: list[Slice] = []
    desired: Slice = {}
    upstream = 0

    def show(names: range, generation: int, version: int) -> None:
        for one in names:
            name = f"g{generation}-{one}"
            desired[name] = version
            shown = pod(name, 0, generation * pods + one, "n0", ready=version == 1)
            controller.state.pods.feed_event(event("MODIFIED", shown))

    def remove(names: range, generation: int) -> None:
        for one in names:
            name = f"g{generation}-{one}"
            del desired[name]
            gone = {"metadata": {"namespace": "n0", "name": name}}
            controller.state.pods.feed_event(event("DELETED", gone))

    def sync() -> None:
        nonlocal slices, upstream
        slices, writes = upstream_sync(slices, desired, limit)
        upstream += writes
        controller.pod_slices.sync(client, ("n0", "s0"), lambda: False)

    show(range(pods), 0, 1)
    sync()
    upstream, client.writes = 0, 0
    for start in range(0, pods, step):
        some = range(start, min(start + step, pods))
        show(some, 1, 0)
        sync()
        show(some, 1, 1)
        sync()
        remove(some, 0)
        sync()
    published = [
        endpoint.pod_name
        for one in controller.pod_slices.slices.cache.objects.values()
        for endpoint in one.endpoints
    ]
    assert sorted(published) == sorted(desired)
    record(
        f"controller, writes of a rolling update of {pods:,} Pods",
        f"{client.writes}",
        f"{upstream}, as upstream",
    )
    assert 0 < client.writes <= upstream
