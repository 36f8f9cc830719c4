"""Checks that every workflow is pinned, bounded, read-only, and runs make targets only."""

import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)


def faults(workflow: dict[str, Any], targets: set[str]) -> list[str]:
    """Returns what is wrong with one workflow, as sentences without its file name."""
    found = []
    if workflow.get("permissions") != {"contents": "read"}:
        found.append("the workflow's `permissions` are not exactly `contents: read`")
    if "concurrency" not in workflow:
        found.append("no `concurrency` group")
    for name, job in workflow["jobs"].items():
        if "timeout-minutes" not in job:
            found.append(f"job `{name}` has no `timeout-minutes`")
        for step in job["steps"]:
            uses, run = step.get("uses"), step.get("run")
            if uses is not None and not PINNED.fullmatch(uses):
                found.append(f"job `{name}`: `{uses}` is not pinned to a full commit")
            if run is not None:
                words = run.split()
                goals = [word for word in words[1:] if "=" not in word]
                if words[0] != "make" or not goals or not targets.issuperset(goals):
                    found.append(f"job `{name}`: `{run}` is not a call of known make targets")
    return found


def main() -> int:
    """Prints every fault and returns 1 where there is one."""
    targets = set(TARGET.findall((ROOT / "Makefile").read_text()))
    paths = sorted((ROOT / ".github/workflows").glob("*.yml"))
    found = [
        f"{path.relative_to(ROOT)}: {fault}"
        for path in paths
        for fault in faults(yaml.safe_load(path.read_text()), targets)
    ]
    if not paths:
        found.append("no workflow found")
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
