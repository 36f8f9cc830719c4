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
_SECTION = re.compile(r"(<!-- bench:([a-z]+) -->\n)(.*?)(<!-- /bench -->)", re.DOTALL)


def sections(results: Results, ipvs: Results | None, features: list[list[str]]) -> dict[str, str]:
    """Returns what the documents take in, by name."""
    rows = [[what.strip(), figure, target] for what, figure, target in features]
    return {
        "summary": f"{tables.readme(results)}\n\n{heading(results)}",
        "results": section(results),
        "ipvs": section(ipvs) if ipvs else "Not measured.",
        "features": tables.table(["What", "Figure", "Target"], rows),
    }


def written(text: str, taken: Mapping[str, str]) -> str:
    """Returns a document with its sections written anew. Raises `KeyError` for an unknown one."""
    return _SECTION.sub(lambda found: f"{found[1]}{taken[found[2]]}\n{found[4]}", text)


def main(results: Results, ipvs: Results | None, features: Path) -> None:
    """Writes all documents."""
    taken = sections(results, ipvs, json.loads(features.read_text()))
    for name in DOCUMENTS:
        path = ROOT / name
        path.write_text(written(path.read_text(), taken))
