"""Upstream's packing as a count of writes: what a rolling update may cost at most.

Written from the description of its steps, on names and versions of endpoints alone.
"""

Slice = dict[str, int]
"""The versions of the endpoints of one slice, by name."""


def upstream_sync(slices: list[Slice], desired: Slice, limit: int) -> tuple[list[Slice], int]:
    """Returns the slices after one sync of upstream's controller, and how many writes it makes."""
    left = dict(desired)
    updated: list[Slice] = []
    unchanged: list[Slice] = []
    deleted = 0
    for one in slices:
        kept = {name: left.pop(name) for name in one if name in left}
        if not kept:
            deleted += 1
        elif kept == one:
            unchanged.append(one)
        else:
            updated.append(kept)
    rest = list(left.items())
    for one in sorted(updated, key=len, reverse=True):
        room = max(0, limit - len(one))
        one.update(rest[:room])
        rest = rest[room:]
    created: list[Slice] = []
    while rest:
        fitting = [one for one in unchanged if len(one) + len(rest) <= limit]
        if len(rest) < limit and fitting:
            fullest = max(fitting, key=len)
            unchanged.remove(fullest)
            updated.append({**fullest, **dict(rest)})
            rest = []
        else:
            created.append(dict(rest[:limit]))
            rest = rest[limit:]
    # Slices that would be deleted take what would be created.
    writes = len(updated) + max(deleted, len(created))
    return [*unchanged, *updated, *created], writes
