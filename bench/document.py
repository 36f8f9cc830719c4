"""Writes results into the documents: between `<!-- bench:NAME -->` and `<!-- /bench -->`."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from . import tables
from .report import heading, section
from .results import Results

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "bench/README.md")
_SECTION = re.compile(r"(<!-- bench:([a-z-]+) -->\n)(.*?)(<!-- /bench -->)", re.DOTALL)


def sections(results: Results, ipvs: Results, features: list[list[str]] | None) -> dict[str, str]:
    """Returns what the documents take in, by name."""
    taken = {
        "summary": summary(results, 10_000),
        "summary-ipvs": summary(ipvs, 5_000),
        "results": section(results),
        "results-ipvs": section(ipvs),
    }
    if features is not None:
        rows = [[what.strip(), figure, target] for what, figure, target in features]
        taken["features"] = tables.table(["What", "Figure", "Target"], rows)
    return taken


def summary(results: Results, services: int) -> str:
    """Returns the table of one size, and where it was measured."""
    return f"{tables.readme(results, services)}\n\n{heading(results)}"


def written(text: str, taken: Mapping[str, str]) -> str:
    """Returns a document with these sections written anew; others stay as they are."""
    return _SECTION.sub(
        lambda found: f"{found[1]}{taken[found[2]]}\n{found[4]}" if found[2] in taken else found[0],
        text,
    )


def main(results: Results, ipvs: Results, features: Path | None) -> None:
    """Writes all documents."""
    kept = json.loads(features.read_text()) if features else None
    taken = sections(results, ipvs, kept)
    for name in DOCUMENTS:
        path = ROOT / name
        path.write_text(written(path.read_text(), taken))
