"""One endpoint changes: the cost must not depend on how many Services there are."""

import json
import statistics
import sys

import pytest

from .conftest import Record, Repeat, scaled
from .measured import Run, run

pytestmark = pytest.mark.timeout(900)

ENDPOINTS = 10
EVENTS = 2_000


def test_cost_is_flat_in_the_number_of_services(repeat: Repeat, record: Record) -> None:
    # Fewer than a thousand fit the processor's nearest caches, which says nothing of the layout.
    sizes = sorted({max(1_000, scaled(services)) for services in (1_000, 10_000, 100_000)})
    medians = {}

    def one_size(services: int) -> Run:
        return run(
            *(sys.executable, "-m", "bench.one_endpoint"),
            *(str(services), str(ENDPOINTS), str(EVENTS)),
        )

    remaining = iter(sizes)
    for services, measured in zip(
        sizes, repeat(lambda: one_size(next(remaining)), rounds=len(sizes)), strict=True
    ):
        result = json.loads(measured.stdout)
        percentiles = statistics.quantiles(result["microseconds"], n=100)
        medians[services] = percentiles[49]
        record(
            f"one endpoint changes among {services:,} x {ENDPOINTS}",
            f"p50 {percentiles[49]:.0f} µs, p99 {percentiles[98]:.0f} µs",
            "p50 150 µs, p99 1000 µs",
        )
        assert result["operations"] >= EVENTS

    ratio = medians[sizes[-1]] / medians[sizes[0]]
    record(f"  p50 of {sizes[-1]:,} against that of {sizes[0]:,}", f"{ratio:.2f}x", "1.5x")
    assert ratio <= 1.5
