"""`kpx` as a command: what a process of it costs."""

import json
import statistics
import sys
from pathlib import Path

import pytest

from . import cases
from .conftest import Manifest, Record, Repeat, scaled
from .measured import Run, run

pytestmark = pytest.mark.timeout(900)

ENDPOINTS = 10


def sync(kpx: str, manifest: Path) -> Run:
    """Programs a fresh namespace from a directory of manifests."""
    options = ("--node-name", cases.NODE_NAME, "--cluster-cidr", cases.CLUSTER_CIDR)
    return run(kpx, "sync", "-f", str(manifest), *options, "-o", "json")


def test_whole_process(repeat: Repeat, record: Record, kpx: str, manifest: Manifest) -> None:
    services = scaled(10_000)
    path = manifest(services, ENDPOINTS)
    manifest_bytes = sum(file.stat().st_size for file in path.iterdir())

    runs = repeat(lambda: sync(kpx, path), rounds=3)
    whole = statistics.median(run.seconds for run in runs)
    peak = max(run.peak_bytes for run in runs)
    report = json.loads(runs[-1].stdout)

    stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in report["seconds"].items())
    record(
        f"whole `kpx sync` process, {services:,} x {ENDPOINTS}",
        f"{whole:.2f} s ({stages}); peak {peak / 2**20:.0f} MiB"
        f" for manifests of {manifest_bytes / 2**20:.0f} MiB",
        "250 MiB",
    )
    assert report["services"] == services
    assert report["endpoints"] == services * ENDPOINTS
    assert peak < 2**26 + 5 * manifest_bytes


def test_version_starts_fast(repeat: Repeat, record: Record, kpx: str) -> None:
    empty = statistics.median(run(sys.executable, "-c", "pass").seconds for _ in range(9))
    runs = repeat(lambda: run(kpx, "version"), rounds=9)
    version = statistics.median(run.seconds for run in runs)

    record("`kpx version`", f"{version * 1e3:.0f} ms, {version / empty:.1f}x an empty Python", "5x")
    assert version / empty <= 5
