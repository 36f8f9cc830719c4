"""kpx's own dump of the kernel, against libnftables: element by element."""

import json
import re
import sys
from typing import Any

from .cluster import Cluster

DUMP = 'from kpx import Proxier; print(Proxier(\'{"node_name": "any"}\').dump())'
BLOCK = re.compile(r"^\t(?:set|map) (?P<name>\S+) \{\n(?P<body>.*?)^\t\}", re.MULTILINE | re.DOTALL)
ELEMENTS = re.compile(r"elements = \{(?P<list>.*)\}", re.DOTALL)
TABLE = re.compile(r"^table (?P<family>\S+) kpx \{\n(?P<body>.*?)^\}", re.MULTILINE | re.DOTALL)

Elements = dict[tuple[str, str], set[str]]
"""Elements as `key comment : value`, by the family and the name of their set."""


def own(text: str) -> Elements:
    """Reads the dump of kpx."""
    found: Elements = {}
    for table in TABLE.finditer(text):
        for block in BLOCK.finditer(table["body"]):
            listed = ELEMENTS.search(block["body"])
            lines = listed["list"].split(",\n") if listed else []
            found[table["family"], block["name"]] = {" ".join(line.split()) for line in lines}
    return found


def libnftables(text: str) -> Elements:
    """Reads the JSON of libnftables. What packets add is left out, as kpx does."""
    found: Elements = {}
    for entry in json.loads(text)["nftables"]:
        listed = entry.get("set") or entry.get("map")
        if listed:
            # Those sets expire, which is the flag that every version of the JSON shows.
            expires = "timeout" in listed.get("flags", [])
            elements = [] if expires else listed.get("elem", [])
            is_map = "map" in entry
            found[listed["family"], listed["name"]] = {
                f"{value(element[0])} : {value(element[1])}" if is_map else value(element)
                for element in elements
            }
    return found


def value(node: Any) -> str:
    """Writes a value of the JSON as `nft` does in text."""
    match node:
        case {"elem": {"val": key, "comment": comment}}:
            return f'{value(key)} comment "{comment}"'
        case {"concat": parts}:
            return " . ".join(value(part) for part in parts)
        case {"prefix": {"addr": address, "len": length}}:
            return f"{address}/{length}"
        case {"range": [first, last]}:
            return f"{first}-{last}"
        case {"goto": {"target": chain}}:
            return f"goto {chain}"
        case {"drop": None}:
            return "drop"
        case str() | int():
            return str(node)
    raise ValueError(f"`{node}` is no value that kpx writes")


def test_every_element_is_what_libnftables_says(programmed: Cluster) -> None:
    listed = libnftables(programmed.node.run("nft", "-j", "list", "ruleset").stdout)
    dumped = own(programmed.node.run(sys.executable, "-c", DUMP).stdout)

    assert dumped == listed
    assert sum(map(len, dumped.values())) > 200
