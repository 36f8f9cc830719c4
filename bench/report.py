"""Writes a report of results: an HTML page that needs no other file, plots, and Markdown tables."""

import html
import re
from pathlib import Path

from markdown_it import MarkdownIt

from . import figures, tables
from .results import Results

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
table { border-collapse: collapse; display: block; overflow-x: auto }
td, th { border: 1px solid #ccc; padding: .25rem .6rem; text-align: left; white-space: nowrap }
th { background: #f4f4f4 } svg { max-width: 100%; height: auto } code { background: #f4f4f4 }
"""


def merged(files: list[Results]) -> Results:
    """Returns the results of several machines as one; the first tells machine and versions."""
    first, *others = files
    known = {one.key for one in first.measurements}
    for other in others:
        first.measurements += [one for one in other.measurements if one.key not in known]
        first.versions = {**other.versions, **first.versions}
    return first


def write(results: Results, directory: Path) -> Path:
    """Writes everything into a directory, and returns the page."""
    drawn = figures.save(figures.draw(results), directory)
    markdown = f"{heading(results)}\n\n{tables.summary(results)}\n\n{tables.everything(results)}\n"
    (directory / "tables.md").write_text(markdown)
    page = directory / "index.html"
    page.write_text(_page(results, markdown, drawn))
    return page


def heading(results: Results) -> str:
    """Says where and with what the results were measured."""
    machine, versions = results.machine, results.versions
    memory = machine["memory_bytes"] / 2**30
    listed = ", ".join(f"{name} {_number(said)}" for name, said in versions.items())
    return (
        f"{machine['cpus']} processors ({machine['cpu']}), {memory:.0f} GiB, "
        f"Linux {_number(machine['kernel'])}, load {machine['load']:.1f} at the start; {listed}. "
        f"Plan `{results.plan}`, {results.took_seconds / 60:.0f} minutes; a step that takes more "
        f"than {results.bound:g} s did not finish."
    )


def _number(version: str) -> str:
    """Returns the number in what a program says of its version."""
    found = re.search(r"\d+(\.\d+)+", version)
    return found[0] if found else version


def _page(results: Results, markdown: str, drawn: list[str]) -> str:
    body: str = MarkdownIt("commonmark").enable("table").render(markdown)
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8><title>kpx benchmarks</title>"
        f"<style>{_STYLE}</style>\n<h1>kpx benchmarks, plan {html.escape(results.plan)}</h1>\n"
        + body
        + "\n".join(f"<figure>{svg}</figure>" for svg in drawn)
        + "\n</html>\n"
    )
