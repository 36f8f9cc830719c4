"""Hints that give each zone its share of a Service's endpoints, by the CPUs of its Nodes.

The allocation is that of upstream's `topologycache` (KEP-2433). Where upstream takes zones in any
order, kpx takes them by name.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from kpx.endpointslices.objects import Node
from kpx.endpointslices.packing import Packing
from kpx.endpointslices.slices import Endpoint, EndpointSlice

__all__ = ["ZoneShares", "spread", "zone_shares"]

OVERLOAD: Final = 0.2
"""How much more than its share an endpoint may have to carry."""

ZoneShares: TypeAlias = Mapping[str, float]
"""For each zone, by name, its part of all CPUs; they add up to 1."""


@dataclass(frozen=True)
class _Allocation:
    minimum: int
    maximum: int
    desired: float


def zone_shares(nodes: Iterable[Node]) -> ZoneShares | None:
    """The part of each zone; `None` where there is nothing to choose, or not all is known.

    Nodes that are not ready, or of the control plane, do not count. One other Node without a zone
    or without CPUs makes all of it unknown.
    """
    millis: Counter[str] = Counter()
    for node in nodes:
        if node.is_control_plane or not node.is_ready:
            continue
        if not node.zone or not node.cpu_millis:
            return None
        millis[node.zone] += node.cpu_millis
    if len(millis) < 2:
        return None
    return {zone: millis[zone] / millis.total() for zone in sorted(millis)}


def spread(packing: Packing, shares: ZoneShares | None) -> str:
    """Gives the ready endpoints of one family hints; returns why they have none, or nothing.

    A slice whose hints still fit stays as it is. Others become updates.
    """
    slices = [*packing.create, *packing.update, *packing.unchanged]
    ready = [endpoint for one in slices for endpoint in one.endpoints if endpoint.ready]
    allocations, problem = _allocate(len(ready), shares)
    if not problem and not all(endpoint.zone for endpoint in ready):
        problem = "One or more endpoints do not have a zone specified"
    if problem:
        _remove_hints(packing)
        return problem
    kept, given = _kept(packing.unchanged, allocations)
    moves = _Moves.between(allocations, given, _zones(slices, but=kept))
    if moves.is_short:
        # Those that could give an endpoint to a zone in need are in slices that were to stay.
        kept = []
        moves = _Moves.between(allocations, Counter(), _zones(slices, but=kept))
    packing.create = [moves.hinted(one) for one in packing.create]
    packing.update = [moves.hinted(one) for one in packing.update]
    unfit = [one for one in packing.unchanged if one not in kept]
    packing.unchanged = kept
    for one in unfit:
        new = moves.hinted(one)
        (packing.update if new != one else packing.unchanged).append(new)
    return ""


def _kept(
    slices: Iterable[EndpointSlice], allocations: Mapping[str, _Allocation]
) -> tuple[list[EndpointSlice], Counter[str]]:
    """The slices whose hints fit, and how many hints for each zone these have."""
    kept: list[EndpointSlice] = []
    given: Counter[str] = Counter()
    for one in slices:
        hinted = _fitting(one, given, allocations)
        if hinted is not None:
            kept.append(one)
            given += hinted
    return kept, given


def _zones(slices: Iterable[EndpointSlice], *, but: Sequence[EndpointSlice]) -> Counter[str]:
    """How many ready endpoints are in each zone, in slices that are not some others."""
    endpoints = (endpoint for one in slices if one not in but for endpoint in one.endpoints)
    return Counter(endpoint.zone for endpoint in endpoints if endpoint.ready)


def _allocate(endpoints: int, shares: ZoneShares | None) -> tuple[dict[str, _Allocation], str]:
    if shares is None:
        return {}, (
            "Insufficient Node information: allocatable CPU or zone not specified on one or more"
            " nodes, or nodes only ready in one zone"
        )
    numbers = f"({endpoints} endpoints, {len(shares)} zones)"
    if len(shares) > endpoints:
        return {}, f"Insufficient number of endpoints {numbers}"
    wanted = {zone: share * endpoints for zone, share in shares.items()}
    minimum = {zone: math.ceil(want / (1 + OVERLOAD)) for zone, want in wanted.items()}
    left = endpoints - sum(minimum.values())
    if left < 0:
        return {}, (
            "Unable to allocate minimum required endpoints to each zone without exceeding overload"
            f" threshold {numbers}"
        )
    return {
        zone: _Allocation(least, least + left, max(wanted[zone], least))
        for zone, least in minimum.items()
    }, ""


def _fitting(
    one: EndpointSlice, given: Counter[str], allocations: Mapping[str, _Allocation]
) -> Counter[str] | None:
    """How many hints for each zone a slice has; `None` if they do not fit with those given."""
    hinted: Counter[str] = Counter()
    for endpoint in one.endpoints:
        if endpoint.ready:
            if not endpoint.zone_hints or endpoint.node_hints:
                return None
            hinted.update(endpoint.zone_hints)
    for zone, number in hinted.items():
        allocation = allocations.get(zone)
        if allocation is None or number + given[zone] > allocation.maximum:
            return None
    return hinted


def _remove_hints(packing: Packing) -> None:
    unchanged, packing.unchanged = packing.unchanged, []
    packing.create = [_unhinted(one) for one in packing.create]
    packing.update = [_unhinted(one) for one in packing.update]
    for one in unchanged:
        new = _unhinted(one)
        (packing.update if new != one else packing.unchanged).append(new)


def _unhinted(one: EndpointSlice) -> EndpointSlice:
    return replace(one, endpoints=tuple(endpoint.without_hints() for endpoint in one.endpoints))


@dataclass
class _Moves:
    """How many endpoints of a zone are to be hinted for others, and for which."""

    giving: Counter[str]
    receiving: Counter[str]
    is_short: bool
    """Whether a zone has less than it needs all the same."""

    @classmethod
    def between(
        cls, allocations: Mapping[str, _Allocation], kept: Counter[str], movable: Counter[str]
    ) -> "_Moves":
        """What brings what is given nearest to what is desired, in whole endpoints.

        Upstream leaves a zone with less than it needs where no other has half an endpoint more than
        it desires; here it gets one from a zone that needs it less.

        Args:
            allocations: What is to be reached.
            kept: How many hints for each zone stay as they are.
            movable: How many endpoints of each zone can be hinted for any.
        """
        giving: Counter[str] = Counter()
        receiving: Counter[str] = Counter()
        held = {zone: kept[zone] + movable[zone] for zone in allocations}

        def surplus(zone: str) -> float:
            return held[zone] - allocations[zone].desired

        def urgency(zone: str) -> tuple[bool, float]:
            return held[zone] >= allocations[zone].minimum, surplus(zone)

        while True:
            receiver = min(allocations, key=urgency)
            needs = held[receiver] < allocations[receiver].minimum
            sparing = [
                zone
                for zone, one in allocations.items()
                if held[zone] > one.minimum and movable[zone] > giving[zone]
            ]
            giver = max(sparing, key=surplus, default=receiver)
            more, less = surplus(giver), -surplus(receiver)
            if giver == receiver or not (
                needs or (min(more, less) >= 0.5 and max(more, less) >= 1)
            ):
                return cls(giving, receiving, is_short=needs)
            giving[giver] += 1
            receiving[receiver] += 1
            held[giver] -= 1
            held[receiver] += 1

    def hinted(self, one: EndpointSlice) -> EndpointSlice:
        """A slice whose ready endpoints are for their own zone, or for one that needs more."""
        return replace(one, endpoints=tuple(map(self._hinted, one.endpoints)))

    def _hinted(self, endpoint: Endpoint) -> Endpoint:
        zone = endpoint.zone
        if not endpoint.ready:
            return replace(endpoint, zone_hints=(), node_hints=())
        if self.giving[zone] > 0:
            self.giving[zone] -= 1
            zone = min(+self.receiving)
            self.receiving[zone] -= 1
        return replace(endpoint, zone_hints=(zone,), node_hints=())
