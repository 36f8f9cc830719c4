"""Results as Markdown tables."""

import statistics
from collections.abc import Callable, Iterable, Sequence

from .peers import IPVS_PEERS, PEERS
from .results import CASES, DONE, UNTRIED, Measurement, Results, exponent
from .targets import verdicts

PEER_TITLES = {name: peer.title for name, peer in (PEERS | IPVS_PEERS).items()}
Row = Sequence[str]


def summary(results: Results) -> str:
    """Returns the table a reader sees first: every peer and every change, at the largest size
    at which all of it was measured.
    """
    cases = ("cold", "restart", "endpoint", "added", "removed", "rolling")
    sizes = sorted(
        {(one.services, one.endpoints) for one in _plain(results) if one.case == "rolling"}
    )
    parts = []
    for services, endpoints in sizes:
        if endpoints != 10:
            continue
        rows = [
            [
                peer,
                *(_time(results.get(peer, case, services, endpoints), p99=True) for case in cases),
            ]
            for peer in _peers(results)
        ]
        head = [f"{services:,} x {endpoints}: p50 (p99)", *(CASES[case] for case in cases)]
        parts.append(table(head, rows))
    return "\n\n".join(parts)


def readme(results: Results, services: int) -> str:
    """Returns one table: every peer at one size, with what it costs to load and to change."""
    cases = ("cold", "restart", "endpoint", "added", "removed", "rolling")
    rows = []
    for peer in _peers(results):
        found = [results.get(peer, case, services) for case in cases]
        cold = found[0]
        if cold is not None:
            memory = _or_none(cold.peak_bytes, size)
            rows.append([PEER_TITLES[peer], *(_time(one) for one in found), memory])
    head = [
        f"{services:,} Services x 10 endpoints, p50",
        *(CASES[case] for case in cases),
        "memory, peak",
    ]
    return table(head, rows)


def everything(results: Results) -> str:
    """Returns every table, each under a heading."""
    peers = "| Peer | What it is |\n|---|---|\n" + "\n".join(
        f"| {peer} | {PEER_TITLES.get(peer, peer)} |" for peer in _peers(results)
    )
    parts = {
        _capital(title): _by_size(results, case)
        for case, title in CASES.items()
        if case not in ("connect", "connect-updating", "flow")
    }
    parts["Services of all kinds"] = _mixed(results)
    parts["What a step costs besides time"] = _costs(results)
    parts["Growth in the number of Services"] = _growth(results)
    parts["New connections"] = _connections(results)
    parts["Targets"] = targets([results])
    return "\n\n".join(
        [peers, *(f"### {title}\n\n{part}" for title, part in parts.items() if part)]
    )


def targets(runs: Iterable[Results]) -> str:
    """Returns every target of some runs and whether it is met."""
    return table(
        ["Target, a ratio", "Measured", "Limit", ""],
        [
            [
                verdict.target.what,
                "not measured" if verdict.ratio is None else f"{verdict.ratio:.2f}",
                verdict.target.limit,
                "met" if verdict.met else "**not met**",
            ]
            for verdict in verdicts(runs)
        ],
    )


def table(head: Row, rows: Iterable[Row]) -> str:
    """Returns a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "|" + "".join(f" {cell} |" if cell else " |" for cell in line) for line in lines
    )


def seconds(value: float) -> str:
    """Returns a time with its unit, to two or three digits."""
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        scaled = value * factor
        if scaled >= 1 or unit == "µs":
            digits = 2 if scaled < 1 else 1 if scaled < 10 else 0
            return f"{scaled:,.{digits}f} {unit}"
    raise AssertionError("unreachable")


def size(value: float) -> str:
    """Returns a number of bytes with its unit."""
    for factor, unit in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if abs(value) >= factor:
            scaled = value / factor
            return f"{scaled:,.{0 if abs(scaled) >= 10 else 1}f} {unit}"
    return f"{value:,.0f} B"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _plain(results: Results) -> list[Measurement]:
    return [one for one in results.measurements if one.kind == "plain"]


def _peers(results: Results) -> list[str]:
    found = {one.peer for one in results.measurements}
    return [peer for peer in PEER_TITLES if peer in found]


def _time(found: Measurement | None, *, p99: bool = False) -> str:
    if found is None:
        return ""
    if found.outcome != DONE:
        # What was not tried at this size did not finish a smaller one.
        return "did not finish" if found.outcome == UNTRIED else found.outcome
    if not found.seconds:
        return ""
    tail = f" ({seconds(found.p99)})" if p99 and len(found.seconds) > 1 else ""
    return seconds(found.p50) + tail


def _by_size(results: Results, case: str) -> str:
    found = [one for one in _plain(results) if one.case == case]
    if not found:
        return ""
    sizes = sorted({(one.endpoints, one.services) for one in found})
    peers = [peer for peer in _peers(results) if any(one.peer == peer for one in found)]
    head = ["p50", *(f"{services:,} x {endpoints}" for endpoints, services in sizes)]
    return table(
        head,
        [
            [
                peer,
                *(
                    _time(results.get(peer, case, services, endpoints))
                    for endpoints, services in sizes
                ),
            ]
            for peer in peers
        ],
    )


def _mixed(results: Results) -> str:
    rows = [
        [one.peer, CASES[one.case], f"{one.services:,} x {one.endpoints}", _time(one, p99=True)]
        for one in results.measurements
        if one.kind == "mixed"
    ]
    return table(["Peer", "Case", "Size", "p50 (p99)"], rows) if rows else ""


def _costs(results: Results) -> str:
    columns: dict[str, Callable[[Measurement], str]] = {
        "CPU time": lambda one: _or_none(one.cpu_seconds, seconds),
        "memory, peak": lambda one: _or_none(one.peak_bytes, size),
        "kernel memory": lambda one: _or_none(_kernel_bytes(one), size),
        "sent": lambda one: _or_none(one.sent_bytes, size),
        "messages": lambda one: _or_none(one.messages, lambda count: f"{count:,.0f}"),
    }
    largest = {
        (one.peer, one.case): one
        for one in sorted(_plain(results), key=lambda one: one.services)
        if one.cpu_seconds is not None and one.endpoints == 10 and one.services <= 10_000
    }
    rows = [
        [
            one.peer,
            CASES[one.case],
            f"{one.services:,} x {one.endpoints}",
            *(column(one) for column in columns.values()),
        ]
        for one in sorted(largest.values(), key=lambda one: list(CASES).index(one.case))
    ]
    return table(["Peer", "Case", "Size", *columns], rows) if rows else ""


def _kernel_bytes(one: Measurement) -> float | None:
    """Returns the median, if more than what else a machine does."""
    median = statistics.median(one.kernel_bytes) if one.kernel_bytes else 0
    return median if median > 0 else None


def _or_none(value: float | None, shown: Callable[[float], str]) -> str:
    return "" if value is None else shown(value)


def _growth(results: Results) -> str:
    """Fits how each figure grows at ten endpoints a Service: 0 is constant, 1 linear."""
    figures: dict[str, Callable[[Measurement], float | None]] = {
        "p50": lambda one: one.p50,
        "CPU time": lambda one: one.cpu_seconds,
        "memory": lambda one: one.peak_bytes,
        "sent": lambda one: one.sent_bytes,
        "messages": lambda one: one.messages,
    }
    rows = []
    for peer in _peers(results):
        for case in CASES:
            series = [
                one
                for one in _plain(results)
                if (one.peer, one.case, one.endpoints) == (peer, case, 10) and one.seconds
            ]
            if len(series) > 1:
                fitted = [_fitted(series, figure) for figure in figures.values()]
                sizes = (
                    f"{min(o.services for o in series):,} to {max(o.services for o in series):,}"
                )
                rows.append([peer, CASES[case], sizes, *fitted])
    return table(["Peer", "Case", "Services", *figures], rows) if rows else ""


def _fitted(series: list[Measurement], figure: Callable[[Measurement], float | None]) -> str:
    points = [(one.services, value) for one in series if (value := figure(one)) is not None]
    fitted = exponent(points)
    return "" if fitted is None else f"{fitted:.2f}".replace("-0.00", "0.00")


def _connections(results: Results) -> str:
    rows = []
    for one in _plain(results):
        if one.case == "connect" and one.seconds:
            busy = results.get(one.peer, "connect-updating", one.services, one.endpoints)
            rows.append(
                [
                    one.peer,
                    f"{one.services:,} x {one.endpoints}",
                    *_rate_and_latency(one),
                    *(_rate_and_latency(busy) if busy and busy.seconds else ("", "")),
                ]
            )
    flows = [
        f"{one.services:,}: {seconds(min(one.seconds))}"
        for one in _plain(results)
        if one.case == "flow"
    ]
    said = f"\n\nA new UDP flow through one Service among {', '.join(flows)}." if flows else ""
    head = ["Peer", "Size", "connections/s", "first packet p50 (p99)"]
    head += ["connections/s, endpoints changing", "first packet p50 (p99), changing"]
    return table(head, rows) + said if rows else said.strip()


def _rate_and_latency(one: Measurement) -> tuple[str, str]:
    rate = len(one.seconds) / sum(one.seconds)
    return f"{rate:,.0f}", f"{seconds(one.p50)} ({seconds(one.p99)})"
