"""libnftables through its Python binding."""

import re
from typing import Any

import nftables

from ..changes import Change
from .peer import ReplayingPeer, forget_peak

_ELEMENTS = re.compile(r"^(add|delete) element (\S+) (\S+) (\S+) \{(.*?)\}$", re.M | re.S)
_COMMENT = re.compile(r' comment "([^"]*)"')


class Libnftables(ReplayingPeer):
    """Elements as JSON, in kpx's layout.

    Tables, chains and rules, whose number is fixed, are loaded as text before: the JSON parser of
    libnftables 1.0.6 refuses a map to addresses with ports ("invalid map type").
    """

    name = "libnftables"
    title = "libnftables JSON through the `nftables` Python binding, with kpx's layout"
    form = "nft"
    reads_mixed = False

    def prepare(self) -> None:
        """Records, and makes JSON of it."""
        text = self.record().decode()
        self._frame = _ELEMENTS.sub("", text)
        self._load = commands(text)
        self._nftables = nftables.Nftables()
        forget_peak()

    def load(self) -> None:
        """Loads the text, then the elements."""
        self._run(*self._nftables.cmd(self._frame))
        self.apply(self._load)

    def restart(self) -> None:
        """Replaces the tables, as libnftables compares nothing itself."""
        self._run(*self._nftables.cmd("delete table ip kpx; delete table ip6 kpx"))
        self.load()

    def encode(self, change: Change) -> Any:
        """Makes JSON of the next text."""
        return commands(self.recorded().decode())

    def apply(self, encoded: Any) -> None:
        """Sends one JSON document."""
        self._run(*self._nftables.json_cmd({"nftables": encoded}))
        self._nftables.set_json_output(False)

    def _run(self, code: int, _output: Any, error: str) -> None:
        assert code == 0, error


def commands(text: str) -> list[dict[str, Any]]:
    """Returns the element commands of an `nft` text as those of libnftables' JSON."""
    return [
        {
            verb: {
                "element": {
                    "family": family,
                    "table": table,
                    "name": name,
                    "elem": [_element(line) for line in listed.split(",")],
                }
            }
        }
        for verb, family, table, name, listed in _ELEMENTS.findall(text)
    ]


def _element(line: str) -> Any:
    comment = _COMMENT.search(line)
    key, _, mapped = _COMMENT.sub("", line).strip().partition(" : ")
    value: Any = _fields(key)
    if comment:
        value = {"elem": {"val": value, "comment": comment[1]}}
    if not mapped:
        return value
    if mapped.startswith("goto "):
        return [value, {"goto": {"target": mapped.removeprefix("goto ")}}]
    return [value, _fields(mapped)]


def _fields(text: str) -> Any:
    fields = [int(field) if field.isdecimal() else field for field in text.split(" . ")]
    return {"concat": fields} if len(fields) > 1 else fields[0]
