"""What /metrics shows: kube-proxy's names, so that dashboards keep working, and kpx's own."""

import time
from collections.abc import Callable, Iterator
from math import inf
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kpx._core import SyncReport, Tally, __version__
from kpx.agent.cadence import Work
from kpx.kube import ReflectorStatus

__all__ = ["Metrics"]

_SECONDS: Final = tuple(0.001 * 2**power for power in range(15))
"""Bounds as in kube-proxy's `pkg/proxy/metrics/metrics.go`."""

_FAMILIES: Final = ("IPv4", "IPv6")
"""kube-proxy has a proxy for each; one pass of ours programs both, and counts for both."""

_FAMILY: Final = ("ip_family",)

_PROGRAMMING_SECONDS: Final = (0.25, 0.5, *range(1, 60), *range(60, 120, 5), *range(120, 301, 30))


class Metrics:
    """The metrics of one agent, in a registry of their own."""

    def __init__(self) -> None:
        """All at zero."""
        self._registry = registry = CollectorRegistry()

        def durations(name: str, what: str) -> Histogram:
            return Histogram(
                f"kubeproxy_{name}_duration_seconds",
                what,
                _FAMILY,
                buckets=_SECONDS,
                registry=registry,
            )

        self._duration = durations("sync_proxy_rules", "How long one programming took.")
        self._full = durations("sync_full_proxy_rules", "How long comparing everything took.")
        self._partial = durations("sync_partial_proxy_rules", "How long programming changes took.")
        self._flush_duration = Histogram(
            "kubeproxy_conntrack_reconciler_sync_duration_seconds",
            "How long deleting stale flows took.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._flows = Counter(
            "kubeproxy_conntrack_reconciler_deleted_entries_total",
            "Stale flows deleted from connection tracking.",
            registry=registry,
        )
        self._flush_failures = Counter(
            "kpx_flow_flush_failures_total",
            "How often deleting stale flows failed.",
            registry=registry,
        )
        self._last = Gauge(
            "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
            "When everything was last programmed.",
            _FAMILY,
            registry=registry,
        )
        self._queued = Gauge(
            "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
            "When a change last came.",
            _FAMILY,
            registry=registry,
        )
        self._programming = Histogram(
            "kubeproxy_network_programming_duration_seconds",
            "From the change of an endpoint to the kernel.",
            _FAMILY,
            buckets=_PROGRAMMING_SECONDS,
            registry=registry,
        )
        self._repairs = Counter(
            "kpx_repairs_total", "Changes that others made and kpx took back.", registry=registry
        )
        self._refused = Gauge(
            "kpx_refused_services", "Services that the kernel refuses.", registry=registry
        )
        self._failures = Counter(
            "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
            "How often programming failed.",
            _FAMILY,
            registry=registry,
        )
        self.healthz = Counter(
            "kubeproxy_proxy_healthz_total", "Answers of /healthz.", ["code"], registry=registry
        )
        self.livez = Counter(
            "kubeproxy_proxy_livez_total", "Answers of /livez.", ["code"], registry=registry
        )
        Gauge("kpx_build_info", "The version.", ["version"], registry=registry).labels(
            __version__
        ).set(1)
        self._operations = Counter(
            "kpx_operations_total", "Kernel objects written or deleted.", registry=registry
        )
        self._services = Gauge("kpx_services", "Services that are programmed.", registry=registry)
        self._endpoints = Gauge(
            "kpx_endpoints", "Endpoints that are programmed.", registry=registry
        )
        self._changes = _Changes()
        registry.register(self._changes)
        self._rejections = Gauge(
            "kpx_rejections", "Objects, or parts of them, that are left out.", registry=registry
        )

        for by_family in (
            *(self._duration, self._full, self._partial, self._programming),
            *(self._last, self._queued, self._failures),
        ):
            for family in _FAMILIES:
                by_family.labels(family)

        def watched(name: str, what: str) -> Gauge:
            return Gauge(f"kpx_watch_{name}", what, ["resource"], registry=registry)

        self._watches: dict[Gauge, Callable[[ReflectorStatus], float]] = {
            watched("silence_seconds", "How long the API server has sent nothing."): _silence,
            watched("lists", "Full lists that were read."): lambda status: status.lists,
            watched("watches", "Watches that were opened."): lambda status: status.watches,
            watched("failures", "Lists and watches that failed."): lambda status: status.failures,
            watched("invalid_lines", "Lines that could not be read."): (
                lambda status: status.invalid_lines
            ),
        }

    def synced(self, work: Work, report: SyncReport, seconds: float) -> None:
        """Programming succeeded."""
        now = time.time()
        times = [max(0.0, now - changed) for changed in report.trigger_times]
        for family in _FAMILIES:
            self._duration.labels(family).observe(seconds)
            (self._full if work is Work.ALL else self._partial).labels(family).observe(seconds)
            self._last.labels(family).set(now)
            for one in times:
                self._programming.labels(family).observe(one)
        self._operations.inc(report.operations)
        self._services.set(report.services)
        self._endpoints.set(report.endpoints)
        self._repairs.inc(report.repairs)
        self._refused.set(len(report.failures))

    def failed(self) -> None:
        """Programming failed."""
        for family in _FAMILIES:
            self._failures.labels(family).inc()

    def queued(self) -> None:
        """A change came."""
        now = time.time()
        for family in _FAMILIES:
            self._queued.labels(family).set(now)

    def provide(self, tally: Callable[[], Tally]) -> None:
        """Shows from now on what a core counts; what others counted before stays counted."""
        self._changes.provide(tally)

    def flushed(self, deleted: int, seconds: float) -> None:
        """Stale flows were deleted."""
        self._flows.inc(deleted)
        self._flush_duration.observe(seconds)

    def flush_failed(self) -> None:
        """Stale flows could not be deleted."""
        self._flush_failures.inc()

    def rejected(self, count: int) -> None:
        """How many objects, or parts of them, are left out."""
        self._rejections.set(count)

    def watch(self, resource: str, status: ReflectorStatus) -> None:
        """Shows how the reading of a resource is doing."""
        for counter, what in self._watches.items():
            counter.labels(resource).set_function(lambda what=what: what(status))  # type: ignore[misc]

    def exposition(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self._registry)


class _Changes(Collector):
    """What the core counts, asked for when metrics are."""

    def __init__(self) -> None:
        self._tally: Callable[[], Tally] | None = None
        self._services = 0
        self._slices = dict.fromkeys(_FAMILIES, 0)

    def provide(self, tally: Callable[[], Tally]) -> None:
        if self._tally:
            last = self._tally()
            self._services += last.service_changes
            for family in _FAMILIES:
                self._slices[family] += last.slice_changes[family]
        self._tally = tally

    def describe(self) -> list[Metric]:
        """Nothing: there is nothing to ask before there is a core."""
        return []

    def collect(self) -> Iterator[Metric]:
        if not self._tally:
            return
        tally = self._tally()
        name = "kubeproxy_sync_proxy_rules"
        # As with kube-proxy, a change of a Service concerns the proxies of both families.
        changes = {
            "service_changes": (
                dict.fromkeys(_FAMILIES, tally.pending_services),
                dict.fromkeys(_FAMILIES, self._services + tally.service_changes),
            ),
            "endpoint_changes": (
                tally.pending_slices,
                {one: self._slices[one] + tally.slice_changes[one] for one in _FAMILIES},
            ),
        }
        for what, (pending, total) in changes.items():
            waiting = GaugeMetricFamily(
                f"{name}_{what}_pending", "Changes that are not planned yet.", labels=_FAMILY
            )
            seen = CounterMetricFamily(f"{name}_{what}", "Changes so far.", labels=_FAMILY)
            for family in _FAMILIES:
                waiting.add_metric([family], pending[family])
                seen.add_metric([family], total[family])
            yield waiting
            yield seen
        unserved = GaugeMetricFamily(
            f"{name}_no_local_endpoints_total",
            "Ports of Services whose `Local` policy leaves no endpoint on this node.",
            labels=("ip_family", "traffic_policy"),
        )
        for labels, count in tally.no_local_endpoints.items():
            unserved.add_metric(labels, count)
        yield unserved


def _silence(status: ReflectorStatus) -> float:
    return time.monotonic() - status.last_contact if status.last_contact is not None else inf
