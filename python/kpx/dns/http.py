"""Health, readiness and metrics of a name server."""

from collections.abc import Callable, Iterator
from itertools import accumulate
from math import inf

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from kpx._core import DnsServer, DnsStore
from kpx.agent.http import Answer, HttpServer

__all__ = ["http_server"]


class _Names(Collector):
    """The counters of the core, under CoreDNS' names, so that its dashboards work."""

    def __init__(self, store: DnsStore, server: DnsServer) -> None:
        self._store = store
        self._server = server

    def collect(self) -> Iterator[Metric]:
        responses = CounterMetricFamily(
            "coredns_dns_responses", "Answers by their outcome.", labels=["rcode"]
        )
        for rcode, count in self._server.answers():
            responses.add_metric([rcode], count)
        yield responses
        yield CounterMetricFamily(
            "kpx_dns_dropped_messages",
            "Messages without an answer, because there was nothing to answer to.",
            value=self._server.dropped(),
        )
        forwarded, failed = self._server.forwarded()
        yield CounterMetricFamily(
            "kpx_dns_upstream_questions",
            "Questions that went to other name servers.",
            value=forwarded,
        )
        yield CounterMetricFamily(
            "kpx_dns_upstream_failures",
            "Questions that no other name server replied to in time.",
            value=failed,
        )
        durations = HistogramMetricFamily(
            "coredns_kubernetes_dns_programming_duration_seconds",
            "From the change of endpoints to the names that say so.",
            labels=["service_kind"],
        )
        for kind, buckets, total in self._store.programming():
            counts = accumulate(count for _, count in buckets)
            bounds = ("+Inf" if bound == inf else str(bound) for bound, _ in buckets)
            durations.add_metric([kind], list(zip(bounds, counts, strict=True)), total)
        yield durations


def http_server(
    address: tuple[str, int], store: DnsStore, server: DnsServer, is_ready: Callable[[], bool]
) -> HttpServer:
    """Serves /healthz, /readyz and /metrics.

    Raises:
        ListenFailed: The address cannot be listened on.
    """
    registry = CollectorRegistry()
    registry.register(_Names(store, server))

    def ready() -> Answer:
        return Answer(200, b"ok\n") if is_ready() else Answer(503, b"not everything is known yet\n")

    return HttpServer(
        address,
        {
            "/healthz": lambda: Answer(200, b"ok\n"),
            "/readyz": ready,
            "/metrics": lambda: Answer(200, generate_latest(registry), CONTENT_TYPE_LATEST),
        },
    )
