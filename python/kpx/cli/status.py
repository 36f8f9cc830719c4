"""What `kpx status` prints: the JSON of the core, or the same as text."""

import json
import sys
from dataclasses import asdict
from typing import Any

from kpx.cli.options import DataOutput
from kpx.libnftables import Verification
from kpx.logs import printable

__all__ = ["write"]


def write(status: str, verification: Verification | None, output: DataOutput) -> None:
    """Writes what the kernel holds, which is given as the core's JSON, and how it compares."""
    parsed: dict[str, Any] = json.loads(status)
    if verification:
        parsed["verification"] = asdict(verification)
    if output is DataOutput.JSON:
        json.dump(parsed, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    if parsed["tables"]:
        _write_counts(parsed)
    else:
        sys.stdout.write("nothing is programmed\n")
    if verification:
        _write_verification(verification)


def _write_counts(parsed: dict[str, Any]) -> None:
    for name in ("services", "frontends", "endpoints"):
        sys.stdout.write(f"{name:<14}{parsed[name]}\n")
    for family, table in sorted(parsed["tables"].items()):
        elements = sum(table["elements"].values())
        sys.stdout.write(
            f"table {family:<8}{table['chains']} chains, {table['rules']} rules,"
            f" {elements} elements\n"
        )
    sys.stdout.write(f"strays        {parsed['strays']}\n")
    for name in ("inconsistent", "failures"):
        sys.stdout.write(f"{name:<14}{len(parsed[name])}\n")
        for entry in parsed[name]:
            sys.stdout.write(f"  {printable(str(entry))}\n")


def _write_verification(verification: Verification) -> None:
    count = len(verification.differences)
    verdict = f"{count} differences from" if count else "as in"
    sys.stdout.write(f"verified      {verification.elements} elements: {verdict} libnftables\n")
    for line in verification.differences:
        sys.stdout.write(f"  {printable(line)}\n")
