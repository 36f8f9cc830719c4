"""The list of behaviours in `docs/semantics.md`: each names tests, and they exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROWS = [
    line
    for line in (ROOT / "docs/semantics.md").read_text().splitlines()
    if re.match(r"\| (?!Behaviour)", line)
]
REFERENCE = re.compile(r"`([\w/]+\.(?:rs|py))::(\w+)`")


def test_the_rows_are_found() -> None:
    assert len(ROWS) >= 40


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:40])
def test_a_behaviour_names_tests_that_exist(row: str) -> None:
    references = REFERENCE.findall(row)
    assert references
    for path, name in references:
        folder = ROOT / "rust" if path.startswith("proxy/") else ROOT / "tests"
        assert re.search(rf"\b(?:fn|def) {name}\(", (folder / path).read_text()), (path, name)
