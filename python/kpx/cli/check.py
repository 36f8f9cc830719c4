"""What `kpx check` prints."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from kpx.check import Finding
from kpx.cli.options import DataOutput
from kpx.logs import printable

__all__ = ["write"]


def write(findings: Sequence[Finding], output: DataOutput) -> None:
    """Writes what was found, one finding after the other."""
    if output is DataOutput.JSON:
        json.dump({"findings": [asdict(one) for one in findings]}, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    width = max(len(one.name) for one in findings)
    for one in findings:
        sys.stdout.write(f"{one.state.value:<9} {one.name:<{width}}  {printable(one.detail)}\n")
        if one.hint:
            sys.stdout.write(f"{'':<10}{'':<{width}}  hint: {printable(one.hint)}\n")
