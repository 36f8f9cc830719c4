"""What `kpx status` prints: what the kernel holds, and what a running agent knows."""

import json
import sys
from dataclasses import asdict
from typing import Any

from kpx.cli.options import DataOutput
from kpx.inquiry import Inquiry
from kpx.libnftables import Verification
from kpx.logs import printable

__all__ = ["write"]


def write(
    status: str, verification: Verification | None, inquiry: Inquiry | None, output: DataOutput
) -> None:
    """Writes what the kernel holds, which is given as the core's JSON, and how it compares.

    Beside it stands what came of asking the agent, if it was asked.
    """
    parsed: dict[str, Any] = json.loads(status)
    if inquiry:
        found = {"address": inquiry.address, "problem": inquiry.problem}
        parsed["agent"] = {**(inquiry.answer or {}), **found}
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
    if inquiry:
        _write_agent(parsed["agent"])


def _write_counts(parsed: dict[str, Any]) -> None:
    for name in ("services", "frontends", "endpoints"):
        sys.stdout.write(f"{name:<14}{parsed[name]}\n")
    for family, table in sorted(parsed["tables"].items()):
        elements = sum(table["elements"].values())
        sys.stdout.write(
            f"table {family:<8}{table['chains']} chains, {table['rules']} rules,"
            f" {elements} elements\n"
        )
    if servers := parsed["virtual_servers"]:
        sys.stdout.write(
            f"ipvs          {servers['servers']} virtual servers, {servers['destinations']}"
            f" destinations ({servers['draining']} draining), {servers['addresses']} addresses\n"
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


def _write_agent(agent: dict[str, Any]) -> None:
    """Writes what an agent answered; one of another version may leave out what we ask for."""
    if agent["problem"]:
        _line("agent", f"{agent['problem']} at {agent['address']}")
        return
    _line(
        "agent",
        f"version {agent.get('version')}, process {agent.get('process')},"
        f" on node `{agent.get('node')}`, since {agent.get('startedAt')}",
    )
    if last := agent.get("lastSync"):
        _line(
            "last sync",
            f"{last['time']} ({last['work']}): {last['operations']} operations"
            f" in {last['seconds']:.3f} s",
        )
    else:
        _line("last sync", "none yet")
    _line("pending", f"since {since}" if (since := agent.get("pendingSince")) else "nothing")
    _line("repaired", f"{agent.get('repaired')} changes that others made")
    last = agent.get("lastFailure")
    reason = f", the last at {last['time']}: {last['reason']}" if last else ""
    _line("failed", f"{agent.get('failures')} times{reason}")
    left_out = agent.get("leftOut", {"count": 0, "objects": []})
    _line("left out", f"{left_out['count']} objects, or parts of them")
    for one in left_out["objects"]:
        act = "refused by the kernel: " if one["refused"] else ""
        sys.stdout.write(
            f"  {printable(one['kind'])} `{printable(one['name'])}`:"
            f" {act}{printable(one['reason'])}\n"
        )
    for name, watch in agent.get("watches", {}).items():
        silent = watch["silentSeconds"]
        heard = "nothing heard yet" if silent is None else f"heard from {silent:.0f} s ago"
        _line("watch", f"{name}: {heard}, {watch['lists']} lists, {watch['failures']} failures")


def _line(name: str, text: str) -> None:
    sys.stdout.write(f"{name:<14}{printable(text)}\n")
