"""The flusher over flows that the kernel takes or not."""

import threading
import time
from typing import cast

from kpx._core import StaleFlows
from kpx.agent.flows import Flusher
from kpx.agent.metrics import Metrics
from kpx.errors import FlushFailed


class Flows:
    """Frontends by name; the kernel fails as often as it is told to."""

    flushed: list[str]
    failures = 0

    def __init__(self, name: str, kernel: "Flows | None" = None) -> None:
        self.name = name
        self.kernel = kernel or self
        if kernel is None:
            self.flushed = []

    def merged(self, later: "Flows") -> "Flows":
        return Flows(f"{self.name} {later.name}", self.kernel)

    def flush(self) -> int:
        if self.kernel.failures:
            self.kernel.failures -= 1
            raise FlushFailed("cannot list flows")
        self.kernel.flushed.append(self.name)
        return 2


def submit(flusher: Flusher, flows: Flows) -> None:
    flusher.submit(cast(StaleFlows, flows))


def run_to_the_end(flusher: Flusher) -> None:
    """Does what was submitted; unlike the agent's, this thread may run again."""
    thread = threading.Thread(target=flusher.run, daemon=True)
    flusher.stop()
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_what_waits_is_flushed_at_once() -> None:
    metrics = Metrics()
    flusher = Flusher(metrics)
    first = Flows("a")
    submit(flusher, first)
    submit(flusher, Flows("b", first))

    run_to_the_end(flusher)

    assert first.flushed == ["a b"]
    shown = metrics.exposition().decode()
    assert "kubeproxy_conntrack_reconciler_deleted_entries_total 2.0" in shown
    assert "kubeproxy_conntrack_reconciler_sync_duration_seconds_count 1.0" in shown


def test_what_failed_is_tried_with_the_next() -> None:
    metrics = Metrics()
    flusher = Flusher(metrics)
    first = Flows("a")
    first.failures = 1
    submit(flusher, first)
    run_to_the_end(flusher)
    assert first.flushed == []
    assert "kpx_flow_flush_failures_total 1.0" in metrics.exposition().decode()

    submit(flusher, Flows("b", first))
    run_to_the_end(flusher)

    assert first.flushed == ["a b"]


def test_what_failed_is_tried_again_though_nothing_is_submitted() -> None:
    metrics = Metrics()
    flusher = Flusher(metrics, first_retry=0.01)
    flows = Flows("a")
    flows.failures = 3
    thread = threading.Thread(target=flusher.run, daemon=True)
    thread.start()
    submit(flusher, flows)
    deadline = time.monotonic() + 20
    while not flows.flushed:
        assert time.monotonic() < deadline, "it is not tried again"
        time.sleep(0.01)
    flusher.stop()
    thread.join(20)
    assert flows.flushed == ["a"]
    assert "kpx_flow_flush_failures_total 3.0" in metrics.exposition().decode()
