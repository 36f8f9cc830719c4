"""What libnftables, which shares no code with kpx, says the kernel holds of kpx.

Reading the kernel twice, by kpx and by libnftables, and comparing element by element tells whether
either misreads it. The binding is the optional extra `kpx[nftables]`, or Debian's
`python3-nftables`; it is imported only to verify.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kpx.errors import VerifyFailed

__all__ = ["Verification", "listing", "verify"]

TABLE_NAME: Final = "kpx"
_ATTEMPTS: Final = 5
_BLOCK = re.compile(
    r"^\t(?:set|map) (?P<name>\S+) \{\n(?P<body>.*?)^\t\}", re.MULTILINE | re.DOTALL
)
_COUNTER = re.compile(r" counter packets \d+ bytes \d+")
"""Packets change what it says between two readings."""
_ELEMENTS = re.compile(r"elements = \{(?P<list>.*)\}", re.DOTALL)
_TABLE = re.compile(
    rf"^table (?P<family>\S+) {TABLE_NAME} \{{\n(?P<body>.*?)^\}}", re.MULTILINE | re.DOTALL
)

_Elements = dict[tuple[str, str], set[str]]
"""Elements as `key comment : value`, by the family and the name of their set."""


@dataclass(frozen=True)
class Verification:
    """What a comparison found."""

    elements: int
    """How many elements kpx read."""
    differences: tuple[str, ...]
    """An element a line; `-` before what only kpx read, `+` before what only libnftables did."""


def listing() -> Mapping[str, Any]:
    """Lists the ruleset of this network namespace in the JSON of libnftables (libnftables-json(5)).

    Raises:
        VerifyFailed: The binding is missing, or libnftables cannot list.
    """
    try:
        from nftables import Nftables
    except ImportError as failure:
        raise VerifyFailed(
            "cannot verify without the Python binding of libnftables",
            "install it: `pip install kpx[nftables]`, or Debian's `python3-nftables`",
        ) from failure
    try:
        status, output, error = Nftables().json_cmd({"nftables": [{"list": {"ruleset": None}}]})
    except OSError as failure:
        raise VerifyFailed(
            f"cannot load libnftables: {failure}", "install the package `libnftables1`"
        ) from failure
    if status != 0 or not isinstance(output, dict):
        raise VerifyFailed(f"libnftables cannot list the ruleset: {str(error).strip()}")
    return output


def verify(dump: Callable[[], str], listing: Callable[[], Mapping[str, Any]]) -> Verification:
    """Compares what kpx reads with what libnftables lists.

    Args:
        dump: Reads the tables of kpx as `nft` text; see `kpx.Proxier.dump`.
        listing: Reads the whole ruleset as libnftables' JSON.

    Raises:
        VerifyFailed: The tables change all the time, so that the two cannot be compared.
    """
    before = _COUNTER.sub(" counter", dump())
    for _ in range(_ATTEMPTS):
        listed = _listed(listing())
        after = _COUNTER.sub(" counter", dump())
        if before == after:
            read = _dumped(after)
            return Verification(sum(map(len, read.values())), tuple(_differences(read, listed)))
        before = after
    raise VerifyFailed(
        f"the tables of kpx changed during each of {_ATTEMPTS} readings",
        "try again when fewer Services change",
    )


def _differences(read: _Elements, listed: _Elements) -> list[str]:
    lines = []
    for family, name in sorted(read.keys() | listed.keys()):
        own, other = (side.get((family, name)) for side in (read, listed))
        if own is None or other is None:
            lines.append(f"{'+' if own is None else '-'} {family} {name}")
        own, other = own or set(), other or set()
        lines += [f"- {family} {name} {{ {element} }}" for element in sorted(own - other)]
        lines += [f"+ {family} {name} {{ {element} }}" for element in sorted(other - own)]
    return lines


def _dumped(text: str) -> _Elements:
    """Reads the dump of kpx."""
    found: _Elements = {}
    for table in _TABLE.finditer(text):
        for block in _BLOCK.finditer(table["body"]):
            listed = _ELEMENTS.search(block["body"])
            lines = listed["list"].split(",\n") if listed else []
            found[table["family"], block["name"]] = {" ".join(line.split()) for line in lines}
    return found


def _listed(ruleset: Mapping[str, Any]) -> _Elements:
    """Reads the JSON of libnftables. What packets add is left out, as kpx does."""
    found: _Elements = {}
    for entry in ruleset["nftables"]:
        listed = entry.get("set") or entry.get("map")
        if not listed or listed["table"] != TABLE_NAME:
            continue
        # Those sets expire, which is the flag that every version of the JSON shows.
        expires = "timeout" in listed.get("flags", [])
        elements = [] if expires else listed.get("elem", [])
        found[listed["family"], listed["name"]] = {
            f"{_value(element[0])} : {_value(element[1])}" if "map" in entry else _value(element)
            for element in elements
        }
    return found


def _value(node: Any) -> str:
    """Writes a value of the JSON as `nft` does in text."""
    match node:
        case {"elem": {"val": key, **attributes}}:
            counter = " counter" if "counter" in attributes else ""
            comment = f' comment "{text}"' if (text := attributes.get("comment")) else ""
            return f"{_value(key)}{counter}{comment}"
        case {"concat": parts}:
            return " . ".join(_value(part) for part in parts)
        case {"prefix": {"addr": address, "len": length}}:
            return f"{address}/{length}"
        case {"range": [first, last]}:
            return f"{first}-{last}"
        case {"goto": {"target": chain}}:
            return f"goto {chain}"
        case {"drop": None}:
            return "drop"
        case _:
            # What else there may be, kpx did not write: it shows as a difference.
            return str(node)
