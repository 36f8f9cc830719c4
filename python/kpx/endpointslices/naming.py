"""Names for slices that no API server names."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from kpx.endpointslices.slices import EndpointSlice

__all__ = ["named"]


def named(slices: Iterable[EndpointSlice]) -> list[EndpointSlice]:
    """Gives slices of one Service names, the same ones each time; existing ones keep theirs."""
    known = list(slices)
    taken = {one.name for one in known}
    numbers: Counter[str] = Counter()
    result = []
    for one in known:
        name = one.name
        while not name:
            prefix = f"{one.service_name}-{one.address_type.lower()}"
            candidate = f"{prefix}-{numbers[prefix]}"
            numbers[prefix] += 1
            name = "" if candidate in taken else candidate
        result.append(replace(one, name=name))
    return result
