"""The comparison of two versions fails on a regression, and on nothing else."""

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench.compare import BOUNDS, compared, markdown
from bench.results import Measurement, Results

ROOT = Path(__file__).parent.parent.parent


def made_up(factor: float = 1, **changes: Any) -> Results:
    """Returns a run in which one endpoint takes so many times as long as it should."""
    measurement = Measurement(
        *("core", "endpoint", 10_000, 10),
        seconds=[second * factor for second in (2e-3, 1e-3, 3e-3)],
        cpu_seconds=1e-3,
        peak_bytes=100 << 20,
        sent_bytes=4_000,
        messages=60,
    )
    for name, value in changes.items():
        setattr(measurement, name, value)
    return Results("compare", 60, [measurement])


def worse(base: list[Results], head: list[Results]) -> list[str]:
    return [one.bound.what for one in compared(base, head) if one.worse]


def test_the_same_is_not_worse() -> None:
    assert worse([made_up()], [made_up()]) == []
    assert worse([made_up()], [made_up(0.1)]) == []
    assert worse([made_up()], [made_up(1.29)]) == []


def test_a_slower_version_is_worse() -> None:
    assert worse([made_up()], [made_up(1.31)]) == ["time, p50"]


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("CPU time", {"cpu_seconds": 1.4e-3}),
        ("memory, peak", {"peak_bytes": 120 << 20}),
        ("sent", {"sent_bytes": 4_300}),
        ("messages", {"messages": 64}),
    ],
)
def test_each_figure_has_a_bound(what: str, changes: dict[str, Any]) -> None:
    assert worse([made_up()], [made_up(**changes)]) == [what]


def test_of_several_runs_the_least_counts() -> None:
    assert worse([made_up(), made_up(3)], [made_up(3), made_up(1.1)]) == []
    assert worse([made_up(), made_up(3)], [made_up(3), made_up(2)]) == ["time, p50"]


def test_what_no_longer_works_is_worse() -> None:
    failed = made_up(seconds=[], outcome="failed", cpu_seconds=None)

    assert "time, p50" in worse([made_up()], [failed])
    assert "time, p50" in worse([made_up()], [Results("compare", 60, [])])


def test_what_is_new_is_not_worse() -> None:
    assert worse([Results("compare", 60, [])], [made_up()]) == []


def test_differences_too_small_to_measure_count_for_nothing() -> None:
    fast = made_up(seconds=[20e-6])

    assert worse([fast], [made_up(seconds=[29e-6])]) == []
    assert worse([fast], [made_up(seconds=[31e-6])]) == ["time, p50"]


def test_what_is_not_kpx_is_not_compared() -> None:
    slow, slower = made_up(peer="nft-upstream"), made_up(9, peer="nft-upstream")

    assert compared([slow], [slower]) == []


def test_the_table_names_what_is_worse() -> None:
    text = markdown(compared([made_up()], [made_up(1.5)]))

    assert "**1 worse than its bound**" in text
    assert (
        "| core, one endpoint changes, 10,000 x 10 | time, p50 | 2.0 ms | 3.0 ms | **1.50 worse** |"
        in text
    )
    for bound in BOUNDS:
        assert f"{bound.what} {bound.ratio:g}" in text


@pytest.mark.parametrize(
    ("head", "code"),
    [(lambda: made_up(), 0), (lambda: made_up(1.5), 1), (lambda: Results("compare", 60, []), 1)],
    ids=["same", "slower", "nothing measured"],
)
def test_the_command_fails_where_something_is_worse(
    tmp_path: Path, head: Callable[[], Results], code: int
) -> None:
    files = {"base": made_up(), "head": copy.deepcopy(head())}
    for name, results in files.items():
        results.write(tmp_path / f"{name}.json")

    completed = subprocess.run(
        [
            *(sys.executable, "-m", "bench", "compare"),
            *("--base", str(tmp_path / "base.json"), "--head", str(tmp_path / "head.json")),
            *("--output", str(tmp_path / "table.md")),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )

    assert completed.returncode == code, completed.stderr
    if completed.stdout:
        assert (tmp_path / "table.md").read_text() in completed.stdout
