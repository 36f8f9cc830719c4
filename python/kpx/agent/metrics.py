"""What /metrics shows: kube-proxy's names, so that dashboards keep working, and kpx's own."""

import time
from collections.abc import Callable
from math import inf
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from kpx._core import SyncReport, __version__
from kpx.agent.cadence import Work
from kpx.kube import ReflectorStatus

__all__ = ["Metrics"]

_SECONDS: Final = tuple(0.001 * 2**power for power in range(15))
"""Bounds as in kube-proxy's `pkg/proxy/metrics/metrics.go`."""

_PROGRAMMING_SECONDS: Final = (0.25, 0.5, *range(1, 60), *range(60, 120, 5), *range(120, 301, 30))


class Metrics:
    """The metrics of one agent, in a registry of their own."""

    def __init__(self) -> None:
        """All at zero."""
        self._registry = registry = CollectorRegistry()

        def durations(name: str, what: str) -> Histogram:
            return Histogram(
                f"kubeproxy_{name}_duration_seconds", what, buckets=_SECONDS, registry=registry
            )

        self._duration = durations("sync_proxy_rules", "How long one programming took.")
        self._full = durations("sync_full_proxy_rules", "How long comparing everything took.")
        self._partial = durations("sync_partial_proxy_rules", "How long programming changes took.")
        self._flush_duration = durations(
            "conntrack_reconciler_sync", "How long deleting stale flows took."
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
            registry=registry,
        )
        self._programming = Histogram(
            "kubeproxy_network_programming_duration_seconds",
            "From the change of an endpoint to the kernel.",
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
        self._rejections = Gauge(
            "kpx_rejections", "Objects, or parts of them, that are left out.", registry=registry
        )

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
        self._duration.observe(seconds)
        (self._full if work is Work.ALL else self._partial).observe(seconds)
        self._last.set_to_current_time()
        self._operations.inc(report.operations)
        self._services.set(report.services)
        self._endpoints.set(report.endpoints)
        self._repairs.inc(report.repairs)
        self._refused.set(len(report.failures))
        now = time.time()
        for changed in report.trigger_times:
            self._programming.observe(max(0.0, now - changed))

    def failed(self) -> None:
        """Programming failed."""
        self._failures.inc()

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


def _silence(status: ReflectorStatus) -> float:
    return time.monotonic() - status.last_contact if status.last_contact is not None else inf
