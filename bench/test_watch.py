"""From an event the API server writes to the core that takes it in, and what that costs."""

import json
import statistics
import subprocess
import sys

import pytest

from .conftest import Record

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(("rate", "count"), [(100, 1_000), (1_000, 10_000)])
def test_events_on_their_way(record: Record, rate: int, count: int) -> None:
    # At no priority: the two processes would keep each other from running.
    command = [sys.executable, "-m", "bench.watch", str(rate), str(count)]
    measured = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    result = json.loads(measured.stdout)
    percentiles = statistics.quantiles(result["seconds"], n=100)
    record(
        f"a watch event of 3 KB, {rate:,} a second",
        f"p50 {percentiles[49] * 1e3:.2f} ms, p99 {percentiles[98] * 1e3:.2f} ms,"
        f" {result['cores']:.3f} cores",
        "p50 0.5 ms, 0.1 cores",
    )
    assert len(result["seconds"]) == count
    # Far more than it takes, and less than any buffer or timer would.
    assert percentiles[49] < 0.02
    assert result["cores"] < 0.2
