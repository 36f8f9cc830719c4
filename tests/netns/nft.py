"""What the `nft` command says the kernel holds."""

import json
from typing import Any

from .namespace import Namespace


def ruleset(namespace: Namespace) -> list[str]:
    """Returns every object `nft` lists as a line of JSON, without what differs between runs.

    Elements that packets add, and that expire, are left out.
    """
    listed = json.loads(namespace.run("nft", "-j", "list", "ruleset").stdout)["nftables"]
    return sorted(
        json.dumps(_comparable(entry), sort_keys=True)
        for entry in listed
        if "metainfo" not in entry
    )


def _comparable(value: Any) -> Any:
    # Handles follow the order of creation; hash tables list elements in an order of their own.
    if isinstance(value, dict):
        expires = "timeout" in value.get("flags", [])
        return {
            key: sorted(map(_comparable, item), key=json.dumps)
            if key == "elem"
            else _comparable(item)
            for key, item in value.items()
            if key != "handle" and not (key == "elem" and expires)
        }
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    return value


def tables(namespace: Namespace) -> list[str]:
    """Returns the family and name of each table."""
    listing = namespace.run("nft", "list", "tables").stdout
    return [line.removeprefix("table ") for line in listing.splitlines()]


def map_keys(namespace: Namespace, family: str, name: str) -> set[tuple[str | int, ...]]:
    """Returns the keys of a map in the table `kpx`, each as a tuple of its parts."""
    listed = json.loads(namespace.run("nft", "-j", "list", "map", family, "kpx", name).stdout)
    (found,) = (entry["map"] for entry in listed["nftables"] if "map" in entry)
    keys = set()
    for key, _value in found.get("elem", []):
        key = key.get("elem", {}).get("val", key)
        keys.add(tuple(key["concat"]))
    return keys
