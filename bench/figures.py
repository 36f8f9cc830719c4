"""Results as plots."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from .results import CASES, Measurement, Results
from .tables import PEER_TITLES

mpl.rcParams["svg.hashsalt"] = "kpx"  # the same results, the same file
_GROWTH = ("cold", "endpoint", "added", "removed", "rolling", "restart")


def draw(results: Results) -> dict[str, Figure]:
    """Returns every plot by its name."""
    drawn = {f"growth-{case}": _growth(results, case) for case in _GROWTH}
    drawn |= {
        f"distribution-{case}": _distribution(results, case) for case in ("endpoint", "connect")
    }
    drawn["distribution-connect-updating"] = _distribution(results, "connect-updating")
    return {name: figure for name, figure in drawn.items() if figure is not None}


def save(figures: dict[str, Figure], directory: Path) -> list[str]:
    """Writes every plot as PNG and as SVG; returns the SVG elements that a page takes in."""
    directory.mkdir(parents=True, exist_ok=True)
    elements = []
    for name, figure in figures.items():
        figure.savefig(directory / f"{name}.png", dpi=144)
        path = directory / f"{name}.svg"
        figure.savefig(path, metadata={"Date": None})
        text = path.read_text()
        elements.append(text[text.index("<svg") :])
    return elements


def _series(results: Results, case: str) -> dict[str, list[Measurement]]:
    found: dict[str, list[Measurement]] = {peer: [] for peer in PEER_TITLES}
    for one in results.measurements:
        if one.case == case and one.kind == "plain" and one.endpoints == 10 and one.seconds:
            found.setdefault(one.peer, []).append(one)
    return {
        peer: sorted(ones, key=lambda one: one.services) for peer, ones in found.items() if ones
    }


def _growth(results: Results, case: str) -> Figure | None:
    series = _series(results, case)
    if not any(len(ones) > 1 for ones in series.values()):
        return None
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for peer, ones in series.items():
        axes.loglog([one.services for one in ones], [one.p50 for one in ones], "o-", label=peer)
    axes.set_title(f"{CASES[case]}: p50, ten endpoints a Service")
    axes.set_xlabel("Services")
    axes.set_ylabel("seconds")
    axes.grid(visible=True, alpha=0.2)
    axes.legend()
    return figure


def _distribution(results: Results, case: str) -> Figure | None:
    """Draws how many of the steps are done after so long, at the largest size most peers have."""
    series = {
        peer: ones for peer, ones in _series(results, case).items() if len(ones[0].seconds) > 1
    }
    if not series:
        return None
    sizes = [one.services for ones in series.values() for one in ones]
    services = max(set(sizes), key=lambda size: (sizes.count(size), size))
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for peer, ones in series.items():
        for one in ones:
            if one.services == services:
                axes.ecdf([second * 1e3 for second in one.seconds], label=peer)
    axes.set_xscale("log")
    axes.set_title(f"{CASES[case]}, {services:,} x 10: share done within")
    axes.set_xlabel("milliseconds")
    axes.set_ylabel("share")
    axes.grid(visible=True, alpha=0.2)
    axes.legend()
    return figure
