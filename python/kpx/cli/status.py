"""What `kpx status` prints: the JSON of the core, or the same as text."""

import json
import sys
from typing import Any

from kpx.cli.options import DataOutput
from kpx.logs import printable

__all__ = ["write"]


def write(status: str, output: DataOutput) -> None:
    """Writes what the kernel holds, which is given as the core's JSON."""
    parsed: dict[str, Any] = json.loads(status)
    if output is DataOutput.JSON:
        json.dump(parsed, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    if not parsed["tables"]:
        sys.stdout.write("nothing is programmed\n")
        return
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
