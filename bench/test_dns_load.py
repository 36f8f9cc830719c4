"""Answers a second of 10,000 Services with 100,000 endpoints, beside BIND's on the same zone.

dnsperf shares the cores with the server; while kpx is asked, 100 EndpointSlices a second change.
"""

from pathlib import Path

import pytest

from . import dns_load
from .conftest import Record, scaled

pytestmark = pytest.mark.timeout(900)

SERVICES = scaled(10_000)
SECONDS = 10


def test_answers_beside_bind(record: Record, tmp_path: Path) -> None:
    store = dns_load.loaded(SERVICES)
    before = dns_load.resident()
    questions = dns_load.write_questions(tmp_path / "questions", SERVICES)
    notes = tmp_path / "notes"
    with dns_load.serving(store) as port, dns_load.changing(store, SERVICES) as done:
        ours = dns_load.dnsperf(port, questions, SECONDS)
        changes = done[0] / SECONDS
        noted = dns_load.dnsperf(port, questions, SECONDS, notes=notes)
    again = dns_load.listed_again(store, SERVICES)
    with dns_load.bind(store, tmp_path) as (bind_port, bind_process):
        theirs = dns_load.dnsperf(bind_port, questions, SECONDS)
        theirs_noted = dns_load.dnsperf(bind_port, questions, SECONDS, notes=notes)
        bind_memory = dns_load.resident(bind_process)
    names = f"{SERVICES:,} Services"
    record(f"DNS answers a second, {names}", f"{ours.answers_a_second:,.0f}", ">= 100,000")
    record("  changes a second meanwhile, lost", f"{changes:.0f}, {ours.lost}", "100, 0")
    record(
        f"  p99 at full load, {noted.answers_a_second:,.0f} a second, each noted",
        f"{noted.p99:.2f} ms",
        "< 5 ms",
    )
    record("  memory, Python included", f"{before >> 10} MiB", "<= 150 MiB")
    record("  the same while all is listed anew", f"{again >> 10} MiB")
    record(
        "  BIND on the same zone",
        f"{theirs.answers_a_second:,.0f}, p99 {theirs_noted.p99:.2f} ms, {bind_memory >> 10} MiB",
    )
    ratio = ours.answers_a_second / theirs.answers_a_second
    record("  kpx / BIND", f"{ratio:.2f}", ">= 1")
    assert ratio > 0.7
    assert again < 1.4 * before, "a new list is held beside the old one"
