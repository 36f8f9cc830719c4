"""What the kernel holds of kpx, as `nft` lists it and as `kpx plan` compares it."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

Run = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs a command in a network namespace, whatever its exit code."""


def map_entries(run: Run, family: str, name: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Returns the keys and values of a map in the table `kpx`, none where it is not there."""
    listed = run("nft", "-j", "list", "map", family, "kpx", name)
    if listed.returncode:
        return []
    (found,) = (entry["map"] for entry in json.loads(listed.stdout)["nftables"] if "map" in entry)
    return [(_parts(key), _parts(value)) for key, value in found.get("elem", [])]


def endpoints(run: Run, family: str) -> dict[tuple[str, ...], set[tuple[str, ...]]]:
    """Returns the endpoints of each address, protocol and port that is balanced."""
    found: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for (*frontend, _slot), endpoint in map_entries(run, family, "endpoints"):
        found.setdefault(tuple(frontend), set()).add(endpoint)
    return found


def left_to_change(plan: str) -> list[dict[str, Any]]:
    """Returns the changes of a plan, printed by `kpx plan -o json`, that an agent owes.

    Chains that nothing leads to any more wait for the next time that all is compared.
    """
    return [
        change
        for change in json.loads(plan)["changes"]
        if not (change["action"] == "delete" and change["name"].startswith("chain "))
    ]


def _parts(value: Any) -> tuple[str, ...]:
    while isinstance(value, dict) and "elem" in value:
        value = value["elem"]["val"]
    return tuple(str(part) for part in value["concat"])
