"""Keeps the slices that mirror hand-made Endpoints."""

import time
from collections.abc import Callable, Iterable

from kpx.controller.cache import Key
from kpx.controller.metrics import MirrorMetrics, QueueMetrics
from kpx.controller.owned_slices import OwnedSlices
from kpx.controller.reporter import Reporter
from kpx.controller.state import ClusterState
from kpx.controller.upkeep import Absence, Absences, Upkeep
from kpx.endpointslices import (
    Endpoint,
    Endpoints,
    EndpointSlice,
    SlicePlan,
    is_mirrored,
    mirror,
    mirroring_managed_by,
)
from kpx.endpointslices.mirroring import Mirroring
from kpx.errors import KpxError
from kpx.kube import Client

__all__ = ["MirroredSlices"]


class MirroredSlices(Upkeep):
    """As upstream's EndpointSlice mirroring controller."""

    name = "endpoint_slice_mirroring"
    first_retry = 1.0
    longest_retry = 100.0

    def __init__(
        self,
        state: ClusterState,
        managed_by: str,
        batch_period: float,
        metrics: MirrorMetrics,
        queue_metrics: QueueMetrics,
        reporter: Reporter,
        absence: Absences,
    ) -> None:
        """Knows of no slice yet.

        Args:
            state: What there is.
            managed_by: The label of slices that are made from Pods.
            batch_period: Seconds for which changes are gathered.
            metrics: What counts syncs and writes.
            queue_metrics: What counts how the queue is doing.
            reporter: Tells of what happens.
            absence: Finds out why a Service is not known.
        """
        super().__init__(queue_metrics)
        self._state = state
        self.managed_by = mirroring_managed_by(managed_by)
        self._metrics = metrics
        self._reporter = reporter
        self._absence = absence
        self.slices = OwnedSlices(state.lock, self.add, batch_period)

    def begin_term(self) -> Iterable[Key]:
        """All Endpoints are looked at, and slices that mirror what is gone."""
        self.slices.expect_nothing()
        return {*self._state.endpoints.objects, *self.slices.services}

    def sync(self, client: Client, key: Key, is_lost: Callable[[], bool]) -> None:
        """Makes the slices that mirror one Service's Endpoints right.

        Raises:
            SyncFailed: The cache is behind our own writes.
            KpxError: The API server refused a write or cannot be reached.
        """
        started = time.monotonic()
        try:
            self._sync(client, key, is_lost)
        finally:
            self._metrics.took(time.monotonic() - started)

    def _sync(self, client: Client, key: Key, is_lost: Callable[[], bool]) -> None:
        with self._state.lock:
            service = self._state.services.objects.get(key)
            kept = self._state.endpoints.objects.get(key)
            is_unreadable = kept is None and key in self._state.endpoints.invalid
            existing = self.slices.of(key)
        if kept is None or not is_mirrored(kept, service):
            if existing and service is None:
                is_unreadable |= self._absence(client, key) is Absence.UNREADABLE
            # Of what cannot be read there stays what was made of it before.
            if not is_unreadable:
                self.slices.write(client, key, SlicePlan(delete=tuple(existing)), is_lost)
                self._metrics.forget(key)
            return
        endpoints = Endpoints.from_object(kept.to_object())
        found = mirror(endpoints, service, existing, self.managed_by)
        try:
            self.slices.write(client, key, found.plan, is_lost)
        except KpxError as failure:
            if not is_lost():
                reason = "FailedToUpdateEndpointSlices"
                self._reporter.warn(key, kept.uid, reason, str(failure))
            raise
        for one in found.left_out:
            self._reporter.warn(key, kept.uid, one.reason, one.message)
        self._metrics.wrote(key, found.plan, found.extent, len(found.slices))
        skipped = sum(one.addresses for one in found.left_out)
        self._metrics.mirrored(_updated(existing, found), skipped)


def _updated(existing: Iterable[EndpointSlice], found: Mirroring) -> int:
    """How many endpoints are where they were, and say something else."""
    before: dict[tuple[str, object], Endpoint] = {
        (one.name, endpoint.identity): endpoint for one in existing for endpoint in one.endpoints
    }
    return sum(
        before.get((one.name, endpoint.identity), endpoint) != endpoint
        for one in found.plan.update
        for endpoint in one.endpoints
    )
