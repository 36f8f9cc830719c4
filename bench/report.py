"""Writes a report of results: an HTML page that needs no other file, plots, and Markdown tables."""

import re
from pathlib import Path

from markdown_it import MarkdownIt

from . import figures, tables
from .results import Results
from .targets import IPVS_PLANS

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
table { border-collapse: collapse; display: block; overflow-x: auto }
td, th { border: 1px solid #ccc; padding: .25rem .6rem; text-align: left; white-space: nowrap }
th { background: #f4f4f4 } svg { max-width: 100%; height: auto } code { background: #f4f4f4 }
"""
_TITLES = dict.fromkeys(IPVS_PLANS, "IPVS, on a kernel that has it")
"""What a reader is told of a plan, where its name does not say it."""
_COMMANDS = {
    "quick": "make bench-quick",
    "quick-ipvs": "make bench-quick",
    "compare": "make bench-compare",
}
"""What measures a plan, where it is not `make bench`."""


def write(runs: list[Results], directory: Path) -> Path:
    """Writes everything into a directory, and returns the page. The plots are of the first run."""
    drawn = figures.save(figures.draw(runs[0]), directory)
    markdown = "\n\n".join(
        f"## {_TITLES.get(results.plan, results.plan)}\n\n{section(results)}" for results in runs
    )
    (directory / "tables.md").write_text(f"{markdown}\n")
    page = directory / "index.html"
    page.write_text(_page(markdown, drawn))
    return page


def section(results: Results) -> str:
    """Returns all that there is to say of one run: where it was, and its tables."""
    return f"{heading(results)}\n\n{tables.everything(results)}"


def heading(results: Results) -> str:
    """Says where and with what the results were measured."""
    machine, versions = results.machine, results.versions
    memory = machine["memory_bytes"] / 2**30
    listed = ", ".join(f"{name} {_number(said)}" for name, said in versions.items())
    return (
        f"{machine['cpus']} processors ({machine['cpu']}), {memory:.0f} GiB, "
        f"Linux {_number(machine['kernel'])}, load {machine['load']:.1f} at the start; {listed}. "
        f"Plan `{results.plan}` of `{_COMMANDS.get(results.plan, 'make bench')}`, "
        f"{results.took_seconds:,.0f} s; a step that takes more than {results.bound:g} s did not "
        "finish."
    )


def _number(version: str) -> str:
    """Returns the number in what a program says of its version."""
    found = re.search(r"\d+(\.\d+)+", version)
    return found[0] if found else version


def _page(markdown: str, drawn: list[str]) -> str:
    body: str = MarkdownIt("commonmark").enable("table").render(markdown)
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8><title>kpx benchmarks</title>"
        f"<style>{_STYLE}</style>\n<h1>kpx benchmarks</h1>\n"
        + body
        + "\n".join(f"<figure>{svg}</figure>" for svg in drawn)
        + "\n</html>\n"
    )
