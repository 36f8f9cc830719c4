"""Sizes, case files, repetition, and the table of results that closes a run."""

import json
import os
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from . import cases
from .measured import Run

SCALE = float(os.environ.get("KPX_BENCH_SCALE", "1"))
"""What every number of Services is multiplied by."""
FEATURES = os.environ.get("KPX_BENCH_FEATURES")
"""Where the table is kept as JSON, for `python -m bench document`; nowhere unless set."""

Manifest = Callable[[int, int], Path]
"""Writes the lists of a cluster of so many Services and endpoints, and returns their directory."""


class Record(Protocol):
    """Adds a line to the table that closes the run."""

    def __call__(self, what: str, figure: str, target: str = "") -> None: ...


class Repeat(Protocol):
    """Runs a command several times and returns what each run cost."""

    def __call__(self, command: Callable[[], Run], *, rounds: int) -> list[Run]: ...


_results = pytest.StashKey[list[tuple[str, str, str]]]()


def scaled(services: int) -> int:
    """Returns a number of Services at the scale of this run."""
    return max(10, round(services * SCALE))


@pytest.fixture(scope="session")
def kpx() -> str:
    """The path of the `kpx` command."""
    return str(Path(sysconfig.get_path("scripts")) / "kpx")


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Writes manifests, each once a session."""
    directory = tmp_path_factory.mktemp("manifests")

    def write(services: int, endpoints: int) -> Path:
        made = directory / f"{services}x{endpoints}"
        if not made.exists():
            made.mkdir()
            pages = cases.lists(range(services), endpoints)
            for name, page in zip(("services", "slices"), pages, strict=True):
                (made / f"{name}.json").write_bytes(page)
        return made

    return write


@pytest.fixture
def repeat(benchmark: BenchmarkFixture) -> Repeat:
    """Repeats a command under pytest-benchmark, which keeps its own statistics of it."""

    def run_repeatedly(command: Callable[[], Run], *, rounds: int) -> list[Run]:
        runs: list[Run] = []
        benchmark.pedantic(lambda: runs.append(command()), rounds=rounds)  # type: ignore[no-untyped-call]
        return runs

    return run_repeatedly


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """The table that closes the run."""
    results = request.config.stash.setdefault(_results, [])

    def add(what: str, figure: str, target: str = "") -> None:
        results.append((what, figure, target))

    return add


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Prints the table."""
    results = config.stash.get(_results, [])
    if not results:
        return
    terminalreporter.section(f"results at scale {SCALE:g}")
    width = max(len(what) for what, _figure, _target in results)
    for what, figure, target in results:
        suffix = f"  (target {target})" if target else ""
        terminalreporter.line(f"{what:<{width}}  {figure}{suffix}")
    if FEATURES is not None:
        Path(FEATURES).write_text(json.dumps(results, indent=1) + "\n")
