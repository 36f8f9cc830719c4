"""All that Services can do, at once; and what a connection pays for the Services it is not for."""

import json
import statistics
import sys

import pytest

from .conftest import Record, Repeat, scaled
from .measured import Run, run

pytestmark = pytest.mark.timeout(900)

ENDPOINTS = 10
EVENTS = 2_000
FLOWS, ROUNDS = 20_000, 7


def test_cold_commit_of_mixed_services(repeat: Repeat, record: Record) -> None:
    services = scaled(10_000)
    kernel, core = [], []

    def one_round() -> Run:
        script = (sys.executable, "-m", "bench.cold_commit", str(services), str(ENDPOINTS))
        replayed = run(*script, "replay", "mixed")
        kernel.append(json.loads(replayed.stdout)["seconds"])
        core.append(json.loads(run(*script, "apply", "mixed").stdout)["seconds"])
        return replayed

    repeat(one_round, rounds=3)
    alone, with_planning = statistics.median(kernel), statistics.median(core)

    record(
        f"kpx plan and commit, {services:,} mixed x {ENDPOINTS}",
        f"{with_planning * 1e3:.0f} ms, {with_planning / alone:.2f}x the kernel alone",
        "3x",
    )
    assert with_planning / alone <= 3


def test_one_endpoint_among_mixed_services(repeat: Repeat, record: Record) -> None:
    services = max(1_000, scaled(10_000))
    medians = {}

    def one_kind(kind: str) -> Run:
        script = (sys.executable, "-m", "bench.one_endpoint", str(services), str(ENDPOINTS))
        return run(*script, str(EVENTS), kind)

    kinds = ("plain", "mixed")
    remaining = iter(kinds)
    for kind, measured in zip(
        kinds, repeat(lambda: one_kind(next(remaining)), rounds=2), strict=True
    ):
        percentiles = statistics.quantiles(json.loads(measured.stdout)["microseconds"], n=100)
        medians[kind] = percentiles[49]
        record(
            f"one endpoint changes among {services:,} {kind} x {ENDPOINTS}",
            f"p50 {percentiles[49]:.0f} µs, p99 {percentiles[98]:.0f} µs",
        )

    ratio = medians["mixed"] / medians["plain"]
    record("  p50 of mixed Services against that of plain ones", f"{ratio:.2f}x", "2x")
    assert ratio <= 2


def test_a_flow_pays_nothing_for_other_services(repeat: Repeat, record: Record) -> None:
    sizes = sorted({max(10, scaled(services)) for services in (10, 10_000, 100_000)})
    fastest = {}

    def one_size(services: int) -> Run:
        script = (sys.executable, "-m", "bench.new_flows", str(services), str(FLOWS))
        return run(*script, str(ROUNDS))

    remaining = iter(sizes)
    for services, measured in zip(
        sizes, repeat(lambda: one_size(next(remaining)), rounds=len(sizes)), strict=True
    ):
        result = json.loads(measured.stdout)
        # What disturbs a round only ever makes it slower.
        fastest[services] = min(result["microseconds"])
        record(f"one new UDP flow among {services:,}", f"{fastest[services]:.2f} µs")
        assert result["answers"] > 0

    for services in sizes[1:]:
        ratio = fastest[services] / fastest[sizes[0]]
        record(f"  among {services:,} against {sizes[0]:,}", f"{ratio:.2f}x", "1.1x")
        assert ratio <= 1.1
