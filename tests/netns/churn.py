"""Services whose endpoints come and go, at an API server that the agent on the node watches."""

import json
import random
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from fakes.apiserver import (
    ENDPOINT_SLICES,
    NODES,
    SERVICE_CIDRS,
    SERVICES,
    ApiServerProcess,
)
from kernel_state import endpoints

from .cluster import TARGET_PORT, Cluster
from .manifest import SERVICE_PORT, VERSIONS, Kind, Service, manifest

PATHS = {
    "Service": SERVICES,
    "EndpointSlice": ENDPOINT_SLICES,
    "Node": NODES,
    "ServiceCIDR": SERVICE_CIDRS,
}
STAYING = ("pod-1", "pod-4")
"""Pods that every Service has all the time."""
COMING = ("pod-2", "pod-3", "pod-5")
"""Pods that come and go."""
PAUSE_SECONDS = 0.004

Target = tuple[str, int]


def by_path(items: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The objects as an API server is given them."""
    found: dict[str, list[dict[str, Any]]] = {path: [] for path in PATHS.values()}
    for item in items:
        found[PATHS[item["kind"]]].append(item)
    return found


class Churn:
    """What is desired, and what changes it."""

    def __init__(self, cluster: Cluster, count: int = 6) -> None:
        self.cluster = cluster
        self.services = {
            f"churn-{number}": Service(f"churn-{number}", 40 + number, (*STAYING, *COMING), {})
            for number in range(count)
        }
        self.brief = Service("brief", 60, STAYING, {})
        """A Service that comes and goes as a whole."""
        self.is_brief_there = False
        self.changes = 0
        self.left: set[tuple[str, str]] = set()
        """Which pod was taken from which Service, be it for a moment, since this was cleared."""
        self._random = random.Random(7)

    def objects(self) -> dict[str, list[dict[str, Any]]]:
        """What is desired now, by the path of each collection."""
        return by_path(self.items())

    def there(self) -> dict[str, Service]:
        """The Services that are there now."""
        return {**self.services, **({"brief": self.brief} if self.is_brief_there else {})}

    def items(self) -> list[dict[str, Any]]:
        """What is desired now."""
        items: list[dict[str, Any]] = json.loads(manifest(self.cluster, self.there()))["items"]
        return items

    def step(self, server: ApiServerProcess) -> None:
        """Changes something."""
        self.changes += 1
        if self.changes % 20 == 0:
            self._come_or_go(server)
            return
        name, pod = self._random.choice([*self.services]), self._random.choice(COMING)
        before = self.services[name].pods
        after = tuple(one for one in before if one != pod) if pod in before else (*before, pod)
        if pod in before:
            self.left.add((name, pod))
        self.services[name] = replace(self.services[name], pods=after)
        for item in self.services[name].objects(self.cluster.pods)[1:]:
            server.put(ENDPOINT_SLICES, item)

    def _come_or_go(self, server: ApiServerProcess) -> None:
        self.is_brief_there = not self.is_brief_there
        for item in self.brief.objects(self.cluster.pods):
            path = PATHS[item["kind"]]
            if self.is_brief_there:
                server.put(path, item)
            else:
                server.remove(path, "default", item["metadata"]["name"])

    @contextmanager
    def running(self, server: ApiServerProcess) -> Iterator[None]:
        """Changes things, for the time of the block."""
        stop = threading.Event()
        failed: list[BaseException] = []

        def run() -> None:
            try:
                while not stop.is_set():
                    self.step(server)
                    time.sleep(PAUSE_SECONDS)
            except BaseException as failure:
                failed.append(failure)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        if failed:
            raise failed[0]

    def is_programmed(self) -> bool:
        """Whether `nft` lists, for every address of the Services, the endpoints desired."""
        run = partial(self.cluster.node.run, check=False)
        for version, family in zip(VERSIONS, ("ip", "ip6"), strict=True):
            wanted: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
            for service in self.there().values():
                pods = {self.cluster.pods[name].addresses[version] for name in service.pods}
                kinds: tuple[Kind, ...] = ("cluster", "external", "load-balancer")
                for kind in kinds:
                    for protocol in service.protocols:
                        key = (service.address(kind, version), protocol, str(SERVICE_PORT))
                        wanted[key] = {(pod, str(TARGET_PORT)) for pod in pods}
            if endpoints(run, family) != wanted:
                return False
        return True
