"""Keeps the slices that are made from Pods."""

import threading
from collections.abc import Callable, Iterable
from typing import Final

from kpx.controller.cache import Key
from kpx.controller.metrics import QueueMetrics, SliceMetrics
from kpx.controller.owned_slices import OwnedSlices
from kpx.controller.reporter import Reporter
from kpx.controller.state import ClusterState
from kpx.controller.upkeep import Absence, Absences, CacheBehind, SyncFailed, Upkeep
from kpx.endpointslices import (
    TRIGGER_TIME_ANNOTATION,
    Policy,
    Reconciliation,
    Service,
    SlicePlan,
    TriggerTimeTracker,
    reconcile,
)
from kpx.errors import KpxError
from kpx.kube import Client

__all__ = ["PodSlices"]

_DISTRIBUTIONS: Final = ("PreferClose", "PreferSameZone", "PreferSameNode")


class PodSlices(Upkeep):
    """As upstream's EndpointSlice controller."""

    name = "endpoint_slice"
    first_retry = 1.0
    longest_retry = 1000.0

    def __init__(
        self,
        state: ClusterState,
        policy: Policy,
        batch_period: float,
        metrics: SliceMetrics,
        queue_metrics: QueueMetrics,
        reporter: Reporter,
        absence: Absences,
    ) -> None:
        """Knows of no slice yet.

        Args:
            state: What there is.
            policy: How slices are made.
            batch_period: Seconds for which changes are gathered.
            metrics: What counts syncs and writes.
            queue_metrics: What counts how the queue is doing.
            reporter: Tells of what happens.
            absence: Finds out why a Service is not known.
        """
        super().__init__(queue_metrics)
        self._state = state
        self._policy = policy
        self._metrics = metrics
        self._reporter = reporter
        self._absence = absence
        self._lock: threading.RLock = state.lock
        self.slices = OwnedSlices(state.lock, self.add, batch_period)
        self._trigger_times = TriggerTimeTracker()
        self._hinted: set[Key] = set()
        """Services that have hints by topology mode."""

    def begin_term(self) -> Iterable[Key]:
        """Everything is looked at, and what was left to Services that are no longer chosen."""
        self.slices.expect_nothing()
        self._trigger_times = TriggerTimeTracker()
        return {*self._state.services.objects, *self.slices.services}

    def sync(self, client: Client, key: Key, is_lost: Callable[[], bool]) -> None:
        """Makes the slices of one Service right.

        Raises:
            SyncFailed: The cache is behind our own writes, or a Pod's Node is not known yet.
            KpxError: The API server refused a write or cannot be reached.
        """
        try:
            with self._lock:
                service = self._state.services.objects.get(key)
                existing = self.slices.of(key)
                if service is not None:
                    pods = self._state.pods_of(service)
                    nodes = self._state.nodes_of(pods)
                    published = [
                        one.annotations.get(TRIGGER_TIME_ANNOTATION, "") for one in existing
                    ]
                    trigger_time = self._trigger_times.compute(service, pods, published)
                    shares = self._state.shares if service.is_topology_aware else None
        except CacheBehind:
            self._metrics.synced("stale")
            raise
        if service is None:
            if existing and self._absence(client, key) is Absence.NOT_CHOSEN:
                self.slices.write(client, key, SlicePlan(delete=tuple(existing)), is_lost)
            # Those of a Service that is gone go with their owner.
            self._forget(key)
            return
        found = reconcile(service, pods, nodes, existing, self._policy, trigger_time, shares)
        try:
            self.slices.write(client, key, found.plan, is_lost)
            if found.without_node:
                names = ", ".join(f"`{pod.name}`" for pod in found.without_node[:3])
                raise SyncFailed(f"the nodes of {names} are not known")
        except KpxError as failure:
            self._metrics.synced("error")
            if not is_lost():
                self._warn(key, service, "FailedToUpdateEndpointSlices", str(failure))
            raise
        with self._lock:
            self._trigger_times.written(key)
        self._count(key, service, found)
        self._tell_of_hints(key, service, found)

    def _forget(self, key: Key) -> None:
        with self._lock:
            self.slices.forget(key)
            self._trigger_times.forget(key)
        self._hinted.discard(key)
        self._metrics.forget(key)
        self._metrics.distributes(key, "")

    def _count(self, key: Key, service: Service, found: Reconciliation) -> None:
        self._metrics.synced("success")
        self._metrics.wrote(key, found.plan, found.extent, len(found.slices))
        distribution = service.traffic_distribution
        if distribution and distribution not in _DISTRIBUTIONS:
            # What users write must not become any number of time series.
            distribution = "ImplementationSpecific"
        self._metrics.changed(
            found.plan, is_topology_aware=service.is_topology_aware, distribution=distribution
        )
        self._metrics.distributes(key, distribution)

    def _tell_of_hints(self, key: Key, service: Service, found: Reconciliation) -> None:
        """Tells when hints by topology mode begin, and why there are none."""
        is_hinted = service.is_topology_aware and not found.hint_problems
        for family, problem in found.hint_problems.items():
            note = f"{problem}, addressType: {family}"
            self._warn(key, service, "TopologyAwareHintsDisabled", note)
        if is_hinted and key not in self._hinted:
            self._hinted.add(key)
            note = "Topology Aware Hints has been enabled"
            self._reporter.tell(key, service.uid, "TopologyAwareHintsEnabled", note)
        elif not is_hinted and key in self._hinted:
            self._hinted.discard(key)
            if not found.hint_problems:
                note = "Topology Aware Hints has been disabled"
                self._warn(key, service, "TopologyAwareHintsDisabled", note)

    def _warn(self, key: Key, service: Service, reason: str, note: str) -> None:
        self._reporter.warn(key, service.uid, reason, note)
