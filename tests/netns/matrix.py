"""The packet-flow matrix, read from `matrix.txt`, which says what its lines mean."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from .cluster import Addresses
from .manifest import PROTOCOLS, VERSIONS

MATRIX = Path(__file__).with_name("matrix.txt")
EXCEPTIONS = {"ipvs": Path(__file__).with_name("matrix-ipvs.txt")}
"""The tables of what a backend does otherwise, by its name."""


@dataclass(frozen=True)
class Source:
    """Where connections come from."""

    name: str
    addresses: Addresses


@dataclass(frozen=True)
class Group:
    """Cells that are judged under the same options of kpx."""

    name: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """What is expected of connections from one source to one destination of a Service."""

    group: Group
    service: str
    source: str
    destination: str
    protocol: str
    version: int
    expected: str

    def __str__(self) -> str:
        """Returns the identifier of the test that judges the cell."""
        parts = (self.group.name, self.service, self.source, self.destination, self.protocol)
        return "-".join((*parts, f"ipv{self.version}"))

    @property
    def reached(self) -> str:
        """Which endpoints are reached, or the verdict where none is."""
        return self.expected.partition(":")[0]

    @property
    def seen(self) -> str:
        """Which source address an endpoint sees, `kept` or `node`; empty where none is reached."""
        return self.expected.partition(":")[2]


@dataclass(frozen=True)
class Matrix:
    """The whole table."""

    sources: dict[str, Source]
    cells: tuple[Cell, ...]

    def group(self, group: Group) -> list[Cell]:
        """Returns the cells of one group."""
        return [cell for cell in self.cells if cell.group == group]

    def with_exceptions(self, exceptions: "Matrix") -> "Matrix":
        """Returns the table with the cells of another in place of its own.

        An exception to no cell, or one that expects the same, is an error.
        """
        excepted = {str(cell): cell.expected for cell in exceptions.cells}
        expected = {str(cell): cell.expected for cell in self.cells}
        for name, other in excepted.items():
            if expected.get(name, other) == other:
                raise ValueError(f"`{name}` is no exception")
        cells = (
            replace(cell, expected=excepted.get(str(cell), cell.expected)) for cell in self.cells
        )
        return replace(self, cells=tuple(cells))


def read_matrix(text: str, known: Mapping[str, Source] | None = None) -> Matrix:
    """Reads the table, which may use sources that are known; a line not understood is an error."""
    sources: dict[str, Source] = dict(known or {})
    cells: list[Cell] = []
    group: Group | None = None
    destinations: list[str] = []
    for line in text.splitlines():
        match line.partition("#")[0].split():
            case []:
                pass
            case ["source", name, ipv4, ipv6, _interface]:
                sources[name] = Source(name, {4: ipv4, 6: ipv6})
            case ["group", name, *options]:
                group = Group(name.removesuffix(":"), tuple(options))
            case ["to", *destinations]:
                pass
            case [service, source, *row] if (
                group and source in sources and len(row) == len(destinations)
            ):
                for destination, cell in zip(destinations, row, strict=True):
                    cells.extend(_crossed(group, service, source, destination, cell))
            case _:
                raise ValueError(f"`{line}` is no line of the matrix")
    return Matrix(sources, tuple(cells))


def _crossed(
    group: Group, service: str, source: str, destination: str, cell: str
) -> Iterator[Cell]:
    if cell == "-":
        return
    ipv4, _, ipv6 = cell.partition("|")
    expected = {4: ipv4, 6: ipv6 or ipv4}
    for protocol, version in product(PROTOCOLS, VERSIONS):
        yield Cell(group, service, source, destination, protocol, version, expected[version])
