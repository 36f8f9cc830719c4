"""Which slice an endpoint goes into: few writes matter more than full slices.

The steps are those of `reconcileByPortMapping` upstream: what is in a slice stays there; what is
new goes first into slices that are written anyway, then all of the rest into one other, or into new
ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from kpx.endpointslices.slices import Endpoint, EndpointSlice, Identity

__all__ = ["NOTHING", "Extent", "Packing", "pack"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Extent:
    """How much there is of a Service, and how much of it is new."""

    added: int = 0
    """Endpoints that no slice had."""
    removed: int = 0
    """Endpoints that a slice had and none should have."""
    endpoints: int = 0
    ideal_slices: int = 0
    """How many slices there would be if each were filled before another is begun."""

    def __add__(self, other: "Extent") -> "Extent":
        """Both together."""
        return Extent(
            self.added + other.added,
            self.removed + other.removed,
            self.endpoints + other.endpoints,
            self.ideal_slices + other.ideal_slices,
        )


NOTHING: Final = Extent()
"""Of a Service without slices."""


@dataclass
class Packing:
    """Slices by what is to be done with them."""

    create: list[EndpointSlice] = field(default_factory=list)
    update: list[EndpointSlice] = field(default_factory=list)
    """Slices that exist, with their new content."""
    delete: list[EndpointSlice] = field(default_factory=list)
    unchanged: list[EndpointSlice] = field(default_factory=list)
    extent: Extent = NOTHING

    def extend(self, other: "Packing") -> None:
        """Adds what is to be done for another group."""
        self.create += other.create
        self.update += other.update
        self.delete += other.delete
        self.unchanged += other.unchanged
        self.extent += other.extent


def pack(
    existing: Iterable[EndpointSlice],
    desired: Mapping[Identity, Endpoint],
    template: EndpointSlice,
    max_endpoints: int,
) -> Packing:
    """Packs the endpoints of one family that have the same ports.

    Args:
        existing: The slices of this family with these ports.
        desired: The endpoints there should be.
        template: A new slice, without a name and without endpoints.
        max_endpoints: How many endpoints a slice may have when some are added to it.
    """
    packing = Packing()
    left = dict(desired)
    before = 0
    for old in existing:
        before += len(old.endpoints)
        kept = tuple(
            endpoint for one in old.endpoints if (endpoint := left.pop(one.identity, None))
        )
        new = replace(
            old,
            labels=template.labels,
            # Those of a mirrored slice come from what it mirrors; a Service has none to give.
            annotations=old.annotations
            if template.owner_kind == "Service"
            else template.annotations,
            endpoints=kept,
        )
        if not kept:
            packing.delete.append(old)
        elif _differs(old, new):
            packing.update.append(new)
        else:
            packing.unchanged.append(old)
    rest = list(left.values())
    packing.extent = Extent(
        added=len(rest),
        removed=before - (len(desired) - len(rest)),
        endpoints=len(desired),
        ideal_slices=-(-len(desired) // max_endpoints),
    )
    for position, fullest in _by_length(packing.update):
        room = max_endpoints - len(fullest.endpoints)
        if rest and room > 0:
            packing.update[position] = _filled(fullest, rest[:room])
            rest = rest[room:]
    if 0 < len(rest) < max_endpoints:
        fitting = [
            one for one in packing.unchanged if len(one.endpoints) + len(rest) <= max_endpoints
        ]
        if fitting:
            chosen = max(fitting, key=lambda one: len(one.endpoints))
            packing.unchanged.remove(chosen)
            kept = tuple(desired[one.identity] for one in chosen.endpoints)
            packing.update.append(_filled(replace(chosen, endpoints=kept), rest))
            rest = []
    packing.create += [_filled(template, some) for some in chunks(rest, max_endpoints)]
    return packing


def chunks(values: Sequence[_T], size: int) -> list[Sequence[_T]]:
    """The values in pieces of a size; the last may be shorter."""
    return [values[start : start + size] for start in range(0, len(values), size)]


def _differs(old: EndpointSlice, new: EndpointSlice) -> bool:
    """Whether a slice needs a write. Hints alone are looked at once everything is packed."""
    return (old.labels, old.annotations) != (new.labels, new.annotations) or [
        one.without_hints() for one in old.endpoints
    ] != [one.without_hints() for one in new.endpoints]


def _by_length(slices: Sequence[EndpointSlice]) -> list[tuple[int, EndpointSlice]]:
    """Slices and their positions, the fullest first."""
    return sorted(enumerate(slices), key=lambda pair: -len(pair[1].endpoints))


def _filled(endpoint_slice: EndpointSlice, endpoints: Sequence[Endpoint]) -> EndpointSlice:
    return replace(endpoint_slice, endpoints=(*endpoint_slice.endpoints, *endpoints))
