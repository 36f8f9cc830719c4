"""Metrics under the names of upstream's controller (`endpointslice/metrics/metrics.go`)."""

from prometheus_client import CollectorRegistry, Counter

from kpx.endpointslices import SlicePlan

__all__ = ["Metrics"]


class Metrics:
    """Counts syncs and writes."""

    def __init__(self) -> None:
        """Starts at zero, in a registry of its own."""
        self.registry = CollectorRegistry()
        self._syncs = Counter(
            "endpoint_slice_controller_syncs",
            "Number of EndpointSlice syncs",
            ["result"],
            registry=self.registry,
        )
        self._changes = Counter(
            "endpoint_slice_controller_changes",
            "Number of EndpointSlice changes",
            ["operation"],
            registry=self.registry,
        )

    def stale(self) -> None:
        """A sync that waits for the cache."""
        self._syncs.labels("stale").inc()

    def failed(self) -> None:
        """A sync that is tried again."""
        self._syncs.labels("error").inc()

    def succeeded(self, plan: SlicePlan) -> None:
        """A sync, and what it wrote."""
        self._syncs.labels("success").inc()
        for operation, slices in (
            ("create", plan.create),
            ("update", plan.update),
            ("delete", plan.delete),
        ):
            self._changes.labels(operation).inc(len(slices))
