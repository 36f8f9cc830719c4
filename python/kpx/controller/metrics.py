"""Metrics under upstream's names, so that dashboards keep working.

The names are those of `staging/src/k8s.io/endpointslice/metrics/metrics.go`,
`pkg/controller/endpointslicemirroring/metrics/metrics.go` and component-base's
`prometheus/workqueue`. The Endpoints controller has none but its work queue's.
"""

import threading
import time
from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kpx.controller.cache import Key
from kpx.endpointslices import Extent, SlicePlan

__all__ = ["MirrorMetrics", "QueueMetrics", "SliceMetrics", "UpkeepMetrics"]

_COUNTS: Final = tuple(float(2**power) for power in range(1, 16))
_SYNC_SECONDS: Final = tuple(0.001 * 2**power for power in range(15))
_QUEUE_SECONDS: Final = tuple(10.0**power for power in range(-8, 4))


class UpkeepMetrics:
    """All metrics of one controller, in a registry of their own."""

    def __init__(self) -> None:
        """All at zero."""
        self.registry = CollectorRegistry()
        self.slices = SliceMetrics(self.registry)
        self.mirrored = MirrorMetrics(self.registry)
        self._queues = _QueueFamilies(self.registry)

    def queue(self, name: str) -> "QueueMetrics":
        """What counts for the queue of that name."""
        return QueueMetrics(self._queues, name)


class _Written:
    """What both kinds of slices have: writes, and how many there are and should be."""

    def __init__(self, registry: CollectorRegistry, subsystem: str, each: str) -> None:
        def gauge(name: str, what: str, *labels: str) -> Gauge:
            return Gauge(f"{subsystem}_{name}", what, labels, registry=registry)

        self._registry, self._subsystem = registry, subsystem
        # A counter to whoever reads it. Upstream's name lacks the `_total` that the library
        # appends to the name of a Counter.
        self._changes = gauge("changes", "Number of EndpointSlice changes", "operation")
        self._added = self._histogram(
            "endpoints_added_per_sync", f"Number of endpoints added on each {each} sync"
        )
        self._removed = self._histogram(
            "endpoints_removed_per_sync", f"Number of endpoints removed on each {each} sync"
        )
        self._desired = gauge("endpoints_desired", "Number of endpoints desired")
        self._slices = gauge("num_endpoint_slices", "Number of EndpointSlices")
        self._ideal = gauge(
            "desired_endpoint_slices",
            "Number of EndpointSlices that would exist with perfect endpoint allocation",
        )
        self._lock = threading.Lock()
        self._extents: dict[Key, tuple[int, int, int]] = {}

    def _histogram(self, name: str, what: str, *labels: str) -> Histogram:
        return Histogram(
            f"{self._subsystem}_{name}", what, labels, buckets=_COUNTS, registry=self._registry
        )

    def wrote(self, key: Key, plan: SlicePlan, extent: Extent, slices: int) -> None:
        """Counts what a sync wrote, and how many slices a Service has after it."""
        for operation, written in (
            ("create", plan.create),
            ("update", plan.update),
            ("delete", plan.delete),
        ):
            if written:
                self._changes.labels(operation).inc(len(written))
        self._added.observe(extent.added)
        self._removed.observe(extent.removed)
        self._note(key, (extent.endpoints, slices, extent.ideal_slices))

    def forget(self, key: Key) -> None:
        """A Service that is gone has nothing."""
        self._note(key, (0, 0, 0))

    def _note(self, key: Key, now: tuple[int, int, int]) -> None:
        with self._lock:
            before = self._extents.pop(key, (0, 0, 0))
            if any(now):
                self._extents[key] = now
            for gauge, old, new in zip(
                (self._desired, self._slices, self._ideal), before, now, strict=True
            ):
                gauge.inc(new - old)


class SliceMetrics(_Written):
    """Of slices made from Pods: `endpoint_slice_controller_*`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """All at zero."""
        super().__init__(registry, "endpoint_slice_controller", "Service")
        self._changed = self._histogram(
            "endpointslices_changed_per_sync",
            "Number of EndpointSlices changed on each Service sync",
            "topology",
            "traffic_distribution",
        )
        # Without `_total`, as `changes`.
        self._syncs = Gauge(
            "endpoint_slice_controller_syncs",
            "Number of EndpointSlice syncs",
            ["result"],
            registry=registry,
        )
        self._by_distribution = Gauge(
            "endpoint_slice_controller_services_count_by_traffic_distribution",
            "Number of Services using some specific trafficDistribution",
            ["traffic_distribution"],
            registry=registry,
        )
        self._distribution: dict[Key, str] = {}
        self._distributions: Tally[str] = Tally()

    def synced(self, result: str) -> None:
        """A sync has ended, as `success`, `stale` or `error`."""
        self._syncs.labels(result).inc()

    def changed(self, plan: SlicePlan, *, is_topology_aware: bool, distribution: str) -> None:
        """How many slices a sync wrote, by what hints them."""
        topology = "Auto" if is_topology_aware else "Disabled"
        self._changed.labels(topology, distribution).observe(len(plan))

    def distributes(self, key: Key, distribution: str) -> None:
        """What `trafficDistribution` a Service has now; empty for none."""
        with self._lock:
            before = self._distribution.pop(key, "")
            if distribution:
                self._distribution[key] = distribution
            self._distributions.subtract([before])
            self._distributions.update([distribution])
            for value in filter(None, {before, distribution}):
                self._by_distribution.labels(value).set(self._distributions[value])


class MirrorMetrics(_Written):
    """Of slices that mirror Endpoints: `endpoint_slice_mirroring_controller_*`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """All at zero."""
        super().__init__(registry, "endpoint_slice_mirroring_controller", "Endpoints")
        self._updated = self._histogram(
            "endpoints_updated_per_sync", "Number of endpoints updated on each Endpoints sync"
        )
        self._skipped = self._histogram(
            "addresses_skipped_per_sync",
            "Number of addresses skipped on each Endpoints sync due to being invalid or exceeding"
            " MaxEndpointsPerSubset",
        )
        self._duration = Histogram(
            "endpoint_slice_mirroring_controller_endpoints_sync_duration",
            "Duration of syncEndpoints() in seconds",
            buckets=_SYNC_SECONDS,
            registry=registry,
        )

    def mirrored(self, updated: int, skipped: int) -> None:
        """How many endpoints a sync changed in place, and how many addresses it left out."""
        self._updated.observe(updated)
        self._skipped.observe(skipped)

    def took(self, seconds: float) -> None:
        """How long a sync took."""
        self._duration.observe(seconds)


class _QueueFamilies:
    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, what: str) -> Gauge:
            return Gauge(f"workqueue_{name}", what, ["name"], registry=registry)

        def seconds(name: str, what: str) -> Histogram:
            return Histogram(
                f"workqueue_{name}", what, ["name"], buckets=_QUEUE_SECONDS, registry=registry
            )

        def counter(name: str, what: str) -> Counter:
            return Counter(f"workqueue_{name}", what, ["name"], registry=registry)

        self.depth = gauge("depth", "Current depth of workqueue")
        self.adds = counter("adds", "Total number of adds handled by workqueue")
        self.retries = counter("retries", "Total number of retries handled by workqueue")
        self.waited = seconds(
            "queue_duration_seconds", "How long in seconds an item stays in workqueue"
        )
        self.worked = seconds("work_duration_seconds", "How long processing an item takes")
        self.unfinished = gauge(
            "unfinished_work_seconds", "How many seconds of work are in progress"
        )
        self.longest = gauge(
            "longest_running_processor_seconds", "How long the longest running worker has run"
        )


class QueueMetrics:
    """Of one work queue: `workqueue_*`."""

    def __init__(self, families: _QueueFamilies, name: str) -> None:
        """All at zero."""
        self._depth = families.depth.labels(name)
        self._adds = families.adds.labels(name)
        self._retries = families.retries.labels(name)
        self._waited = families.waited.labels(name)
        self._worked = families.worked.labels(name)
        self._since: dict[int, float] = {}
        families.unfinished.labels(name).set_function(lambda: sum(self._running()))
        families.longest.labels(name).set_function(lambda: max(self._running(), default=0.0))

    def added(self, depth: int) -> None:
        """A key came in that did not wait already."""
        self._adds.inc()
        self._depth.set(depth)

    def taken(self, depth: int, waited: float) -> None:
        """A worker took a key that had waited so many seconds."""
        self._depth.set(depth)
        self._waited.observe(waited)

    def retried(self) -> None:
        """A key that failed comes again later."""
        self._retries.inc()

    @contextmanager
    def working(self) -> Iterator[None]:
        """A worker is at a key while the context is open."""
        worker, started = threading.get_ident(), time.monotonic()
        self._since[worker] = started
        try:
            yield
        finally:
            del self._since[worker]
            self._worked.observe(time.monotonic() - started)

    def _running(self) -> list[float]:
        now = time.monotonic()
        return [now - since for since in list(self._since.values())]
