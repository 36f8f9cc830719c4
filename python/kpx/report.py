"""What kpx prints: data on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Iterable
from enum import Enum
from typing import Any, Final

from kpx._core import Plan, Rejection
from kpx.errors import KpxError
from kpx.logs import printable
from kpx.oneshot import Commit, Prepared
from kpx.sources import Rejected

__all__ = ["Output", "error", "notice", "plan", "rejections", "sync"]


class Output(str, Enum):
    """How data is written to stdout."""

    TEXT = "text"
    JSON = "json"
    NFT = "nft"


_STYLES: Final = {"+": "green", "~": "yellow", "-": "red"}


def error(failure: KpxError) -> None:
    """Says what failed, and what to do about it."""
    _complain("error", failure.message)
    if failure.hint:
        _complain("hint", failure.hint)


def notice(text: str) -> None:
    """Says what the reader should know though nothing failed."""
    _complain("notice", text)


def rejections(rejected: Iterable[Rejection | Rejected]) -> None:
    """Names every object, or part of one, that was left out."""
    for rejection in rejected:
        extent = "rejected" if rejection.whole else "rejected in part"
        name = f"`{rejection.name}`" if rejection.name else ""
        subject = " ".join(filter(None, (rejection.kind, name))) or "an object"
        _complain(extent, f"{subject}: {rejection.reason}")


def plan(prepared: Prepared, output: Output) -> None:
    """Writes what would change."""
    match output:
        case Output.TEXT:
            _write_diff(prepared.plan)
            if not prepared.plan:
                _write(f"nothing to change ({_spent(prepared)})")
        case Output.JSON:
            _write_json({**json.loads(prepared.plan.to_json()), **_source(prepared)})
        case Output.NFT:
            _write(prepared.plan.to_nft())


def sync(prepared: Prepared, commit: Commit, output: Output) -> None:
    """Writes what was changed."""
    done = commit.report
    match output:
        case Output.TEXT:
            _write_diff(prepared.plan)
            counts = (
                f"{done.added} added, {done.changed} changed, {done.removed} removed"
                if prepared.plan
                else "nothing to change"
            )
            _write(
                f"synced {_count(done.services, 'service')} with"
                f" {_count(done.endpoints, 'endpoint')}: {counts}"
                f" ({_spent(prepared)}, commit {commit.seconds:.3f} s)"
            )
        case Output.JSON:
            _write_json(
                {
                    "services": done.services,
                    "endpoints": done.endpoints,
                    "operations": {
                        "added": done.added,
                        "changed": done.changed,
                        "removed": done.removed,
                    },
                    "seconds": {
                        "decode": round(prepared.decode_seconds, 6),
                        "plan": round(prepared.plan_seconds, 6),
                        "commit": round(commit.seconds, 6),
                    },
                    **_source(prepared),
                }
            )
        case Output.NFT:
            _write(prepared.plan.to_nft())


def _source(prepared: Prepared) -> dict[str, Any]:
    return {
        "rejected": [
            {
                "kind": rejection.kind,
                "name": rejection.name,
                "reason": rejection.reason,
                "whole": rejection.whole,
            }
            for rejection in prepared.rejected
        ],
        "ignored": dict(sorted(prepared.loaded.ignored.items())),
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _spent(prepared: Prepared) -> str:
    return f"decode {prepared.decode_seconds:.3f} s, plan {prepared.plan_seconds:.3f} s"


def _write(text: str) -> None:
    if text:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def _write_json(value: dict[str, Any]) -> None:
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")


def _write_diff(changes: Plan) -> None:
    if not changes:
        return
    if not sys.stdout.isatty():
        _write(str(changes))
        return
    from rich.console import Console
    from rich.text import Text

    # The console knows which terminals have colours, and honours NO_COLOR.
    console = Console()
    for line in str(changes).splitlines():
        console.print(Text(line, _STYLES.get(line.lstrip()[:1], "")), soft_wrap=True)


def _complain(label: str, text: str) -> None:
    """Writes a line to stderr."""
    sys.stderr.write(f"{label}: {printable(text)}\n")
