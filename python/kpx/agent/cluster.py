"""A cluster that is watched: reflectors feed one core, which is handed on once it knows enough."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from kpx._core import EventReport, FeedReport, Proxier
from kpx.agent.health import Health, is_eligible
from kpx.agent.metrics import Metrics
from kpx.agent.pipeline import Pipeline
from kpx.agent.status import Status
from kpx.config import LocalMode, Settings
from kpx.kube import Client, Reflector, Resource, resources

__all__ = ["Watcher"]

_ALWAYS_NEEDED: Final = ("services", "endpointslices", "servicecidrs")
_PRIMARY: Final = "primary"


class Watcher:
    """Reads a cluster, for as long as the agent runs.

    Nothing is programmed before all Services and all EndpointSlices are known, the Node where the
    rules depend on it, and the ServiceCIDRs unless they cannot be read: a restarted agent would
    otherwise take down what it has yet to read.
    """

    def __init__(
        self,
        settings: Settings,
        client: Client,
        pipeline: Pipeline,
        health: Health,
        metrics: Metrics,
        status: Status,
    ) -> None:
        """Connects nowhere yet."""
        self._started_at = time.time()
        self._proxier = Proxier(self._config(settings))
        self._pipeline = pipeline
        self._reflectors = [
            Reflector(
                client,
                resource,
                self._sink(resource, health),
                on_change=self._changed,
                on_failure=self._changed,
            )
            for resource in resources(settings.node_name)
        ]
        needed = {*_ALWAYS_NEEDED, *(("nodes",) if _needs_node(settings) else ())}
        self._awaited = [one for one in self._reflectors if one.resource.name in needed]
        self._lock = threading.Lock()
        self._is_provided = False
        for reflector in self._reflectors:
            metrics.watch(reflector.resource.name, reflector.status)
            status.watch(reflector.resource.name, reflector.status)

    def threads(self, stop: threading.Event) -> list[tuple[str, Callable[[], None]]]:
        """What is to run, each in a thread of its own, until `stop` is set."""
        return [
            (one.resource.name, lambda one=one: one.run(stop))  # type: ignore[misc]
            for one in self._reflectors
        ]

    def reconfigure(self, settings: Settings) -> None:
        """Programs what is known of the cluster with other settings.

        Raises:
            ConfigurationInvalid: They do not make sense; those in use stay.
        """
        self._proxier.reconfigure(self._config(settings))
        self._changed()

    def _config(self, settings: Settings) -> str:
        return json.dumps({**json.loads(settings.to_core()), "started_at": self._started_at})

    def read_again(self) -> None:
        """Does nothing: a watched cluster is always read."""

    def _sink(self, resource: Resource, health: Health) -> "Proxier | _NodeSink":
        return _NodeSink(self._proxier, health) if resource.name == "nodes" else self._proxier

    def _changed(self) -> None:
        with self._lock:
            if self._is_provided:
                self._pipeline.changed()
            elif all(map(_is_known, self._awaited)):
                self._is_provided = True
                self._pipeline.provide(self._proxier)


def _is_known(reflector: Reflector) -> bool:
    """Whether a resource was read; one that may be missing is not waited for if it fails."""
    may_be_missing = reflector.resource.optional and reflector.status.failures > 0
    return reflector.synced.is_set() or may_be_missing


def _needs_node(settings: Settings) -> bool:
    """Whether rules follow from the Node: its pod ranges, or its primary addresses."""
    addresses = settings.nodeport_addresses
    return (
        settings.detect_local_mode is LocalMode.NODE_CIDR or not addresses or _PRIMARY in addresses
    )


class _NodeSink:
    """Hands the own Node to the core, and to health whether load balancers may choose it."""

    def __init__(self, proxier: Proxier, health: Health) -> None:
        self._proxier = proxier
        self._health = health

    def begin_replace(self, kind: str) -> None:
        self._proxier.begin_replace(kind)

    def end_replace(self, kind: str) -> None:
        self._proxier.end_replace(kind)

    def feed(self, frame: bytes) -> FeedReport:
        report = self._proxier.feed(frame)
        items = _parsed(frame).get("items")
        for item in items if isinstance(items, list) else ():
            self._look(item)
        return report

    def feed_event(self, line: bytes) -> EventReport:
        report = self._proxier.feed_event(line)
        if report.event in ("ADDED", "MODIFIED"):
            self._look(_parsed(line).get("object"))
        return report

    def _look(self, node: Any) -> None:
        if isinstance(node, dict):
            self._health.node(is_eligible(node))


def _parsed(content: bytes) -> dict[str, Any]:
    """What the core has read already, and so is an object, if perhaps one Python cannot read."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
