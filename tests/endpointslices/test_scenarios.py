"""Scenario files: manifests in, what is published out. `--update` rewrites what is expected.

Each file names the rows of behaviour it shows. The rows are those of the comparison with upstream:
E which Services, C endpoints, P packing, L labels and bookkeeping, H hints, N Endpoints, M
mirroring.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from kpx.endpointslices import Policy
from kpx.publication import publish_once

DIRECTORY = Path(__file__).parent / "scenarios"
FILES = sorted(DIRECTORY.glob("*.yaml"))
LAST_ROWS = {"E": 17, "C": 24, "P": 17, "L": 13, "H": 7, "N": 11, "M": 7}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    scenario = yaml.safe_load(path.read_text())
    manifest = tmp_path / "manifest.json"
    manifest.write_text(
        json.dumps({"apiVersion": "v1", "kind": "List", "items": scenario["objects"]})
    )
    flags = iter(scenario.get("flags", []))
    options: dict[str, Any] = {"with_endpoints": False, "policy": Policy()}
    for flag in flags:
        if flag == "--endpoints":
            options["with_endpoints"] = True
        else:
            assert flag == "--max-endpoints-per-slice"
            options["policy"] = Policy(max_endpoints_per_slice=int(next(flags)))
    published = publish_once([str(manifest)], **options)
    found = {
        "published": published.objects,
        "rejected": [f"{one.kind} {one.name}: {one.reason}" for one in published.rejected],
    }
    if request.config.getoption("--update"):
        given, _, _ = path.read_text().partition("expected:\n")
        dumped = yaml.safe_dump({"expected": found}, sort_keys=False, width=100)
        path.write_text(given + dumped)
        return
    assert found == scenario["expected"]


def test_every_row_is_shown() -> None:
    shown = {row for path in FILES for row in yaml.safe_load(path.read_text())["rows"]}
    tests = Path(__file__).parent.parent
    for path in (*tests.glob("endpointslices/test_*.py"), *tests.glob("controller/test_*.py")):
        for name in re.findall(r"def test_(\w+)", path.read_text()):
            shown |= {row.upper() for row in re.findall(r"(?<![a-z])([ecplhnm]\d+)(?=_)", name)}
    rows = {f"{kind}{number}" for kind, last in LAST_ROWS.items() for number in range(1, last + 1)}
    assert shown == rows
