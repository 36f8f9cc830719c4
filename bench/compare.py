"""Holds one version of kpx against another: fails where a ratio is worse than its bound.

Both are measured on one machine within one job, in turn, so that a ratio says something of kpx. Of
several runs of a version the least figure counts: what disturbs a run only ever adds.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .results import CASES, DONE, Measurement, Results
from .tables import seconds, size, table

PEERS = ("core", "sync", "agent")
"""What is kpx; all else is the same for both versions."""
_Read = Callable[[Measurement], float | None]


@dataclass(frozen=True)
class Bound:
    """How much more of something a version may take than the one before."""

    what: str
    ratio: float
    """At most so many times as much."""
    allowance: float
    """A difference below this counts for nothing, whatever its ratio."""
    read: _Read
    shown: Callable[[float], str]


BOUNDS = (
    Bound("time, p50", 1.3, 10e-6, lambda one: one.p50 if one.seconds else None, seconds),
    Bound("CPU time", 1.3, 10e-6, lambda one: one.cpu_seconds, seconds),
    Bound("memory, peak", 1.15, 4 << 20, lambda one: one.peak_bytes, size),
    Bound("sent", 1.05, 64, lambda one: one.sent_bytes, size),
    Bound("messages", 1.05, 2, lambda one: one.messages, lambda count: f"{count:,.0f}"),
)


@dataclass(frozen=True)
class Compared:
    """One figure of both versions."""

    subject: str
    bound: Bound
    base: float | None
    head: float | None

    @property
    def ratio(self) -> float | None:
        """How many times the base the head takes."""
        return self.head / self.base if self.base and self.head is not None else None

    @property
    def worse(self) -> bool:
        """Whether the head is worse than allowed, or no longer does what the base did."""
        if self.base is None:
            return False
        if self.head is None:
            return True
        allowed = max(self.base * self.bound.ratio, self.base + self.bound.allowance)
        return self.head > allowed


def compared(base: list[Results], head: list[Results]) -> list[Compared]:
    """Returns every figure of kpx that the base or the head has."""
    found = []
    keys = {one.key: one for results in (*base, *head) for one in results.measurements}
    for one in keys.values():
        if one.peer not in PEERS or one.case not in CASES:
            continue
        kind = "" if one.kind == "plain" else f" {one.kind}"
        subject = f"{one.peer}, {CASES[one.case]}, {one.services:,}{kind} x {one.endpoints}"
        for bound in BOUNDS:
            figures = [_least(results, one, bound.read) for results in (base, head)]
            if any(figure is not None for figure in figures):
                found.append(Compared(subject, bound, *figures))
    return found


def markdown(found: list[Compared]) -> str:
    """Returns what a reviewer reads: the times, and whatever else is worse or better."""
    rows = [
        [
            one.subject,
            one.bound.what,
            *(_shown(one, each) for each in (one.base, one.head)),
            _said(one),
        ]
        for one in found
        if one.bound is BOUNDS[0] or one.worse or (one.ratio or 1) < 0.9
    ]
    limits = ", ".join(f"{bound.what} {bound.ratio:g}" for bound in BOUNDS)
    worse = sum(one.worse for one in found)
    verdict = f"**{worse} worse than its bound**" if worse else "Nothing is worse than its bound"
    head = ["kpx", "Figure", "Base", "Head", "Ratio"]
    return f"### Benchmarks\n\n{verdict} (ratios: {limits}).\n\n{table(head, rows)}\n"


def main(base: list[Path], head: list[Path], output: Path | None) -> int:
    """Prints the table, writes it where asked to, and returns 1 if anything is worse."""
    found = compared(*([Results.read(path) for path in paths] for paths in (base, head)))
    if not any(one.ratio is not None for one in found):
        print("error: base and head have no figure in common", file=sys.stderr)
        return 1
    text = markdown(found)
    print(text)
    if output is not None:
        output.write_text(text)
    return 1 if any(one.worse for one in found) else 0


def _least(runs: list[Results], like: Measurement, read: _Read) -> float | None:
    figures = [
        figure
        for results in runs
        for one in results.measurements
        if one.key == like.key and one.outcome == DONE and (figure := read(one)) is not None
    ]
    return min(figures, default=None)


def _shown(one: Compared, figure: float | None) -> str:
    return "none" if figure is None else one.bound.shown(figure)


def _said(one: Compared) -> str:
    ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
    return f"**{ratio} worse**".replace("** ", "**") if one.worse else ratio
