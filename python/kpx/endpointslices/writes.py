"""In which order slices are written, so that no endpoint is ever in none of them.

Upstream creates, then updates in any order, then deletes. An endpoint that moves from one updated
slice to another can then be in neither for a moment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kpx.endpointslices.slices import EndpointSlice, Identity

__all__ = ["SlicePlan", "ordered"]


@dataclass(frozen=True)
class SlicePlan:
    """What to write for one Service, in this order: creates, updates, deletes."""

    create: tuple[EndpointSlice, ...] = ()
    update: tuple[EndpointSlice, ...] = ()
    """Slices that exist, with their new content."""
    delete: tuple[EndpointSlice, ...] = ()

    def __len__(self) -> int:
        """The number of writes."""
        return len(self.create) + len(self.update) + len(self.delete)


def ordered(
    create: Sequence[EndpointSlice],
    update: Sequence[EndpointSlice],
    delete: Sequence[EndpointSlice],
    existing: Mapping[str, EndpointSlice],
) -> SlicePlan:
    """Orders writes so that whatever adds an endpoint comes before what removes it elsewhere.

    Where updates exchange endpoints in a circle, none of them can come first: one of them becomes a
    new slice, and the slice it would have changed is deleted in the end.

    Args:
        create: Slices to create.
        update: Slices to update, with their new content.
        delete: Slices to delete.
        existing: The slices there are, by name.
    """
    created, deleted = list(create), list(delete)
    waiting = list(update)
    done: list[EndpointSlice] = []
    while waiting:
        added = [_identities(one) - _identities(existing[one.name]) for one in waiting]
        removed = [_identities(existing[one.name]) - _identities(one) for one in waiting]
        free = [
            position
            for position, gone in enumerate(removed)
            if not any(gone & new for other, new in enumerate(added) if other != position)
        ]
        if free:
            done += [waiting[position] for position in free]
            waiting = [one for position, one in enumerate(waiting) if position not in free]
        else:
            first = waiting.pop(0)
            deleted.append(existing[first.name])
            created.append(replace(first, name="", uid="", resource_version="", generation=0))
    return SlicePlan(tuple(created), tuple(done), tuple(deleted))


def _identities(endpoint_slice: EndpointSlice) -> set[tuple[str, Identity]]:
    family = endpoint_slice.address_type
    return {(family, endpoint.identity) for endpoint in endpoint_slice.endpoints}
