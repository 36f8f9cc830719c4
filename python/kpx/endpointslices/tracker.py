"""What we wrote ourselves, so that a cache that does not show it yet is not believed.

As `endpointslice_tracker.go` upstream. kpx also keeps the resource version of each write: an edit
of metadata does not move the generation, and would go unnoticed (upstream's `ShouldSync`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from kpx.endpointslices.slices import EndpointSlice

__all__ = ["ExpectationTracker"]

ServiceKey = tuple[str, str]
"""The namespace and the name of a Service."""


@dataclass(frozen=True)
class _Expected:
    generation: int
    resource_version: str
    is_deleted: bool = False


class ExpectationTracker:
    """The last write to each slice, by Service."""

    def __init__(self) -> None:
        """Expects nothing yet."""
        self._expected: dict[ServiceKey, dict[str, _Expected]] = {}

    def wrote(self, service: ServiceKey, written: EndpointSlice) -> None:
        """Notes the slice as the API server returned it from a create or an update."""
        expected = _Expected(written.generation, written.resource_version)
        self._expected.setdefault(service, {})[written.uid] = expected

    def deleted(self, service: ServiceKey, gone: EndpointSlice) -> None:
        """Notes that we deleted a slice."""
        expected = _Expected(gone.generation, gone.resource_version, is_deleted=True)
        self._expected.setdefault(service, {})[gone.uid] = expected

    def is_stale(self, service: ServiceKey, cached: Iterable[EndpointSlice]) -> bool:
        """Whether the slices in a cache are older than what we wrote."""
        expected = self._expected.get(service, {})
        shown = {one.uid: one.generation for one in cached}
        return any(
            uid in shown if one.is_deleted else shown.get(uid, -1) < one.generation
            for uid, one in expected.items()
        )

    def is_news(self, service: ServiceKey, seen: EndpointSlice) -> bool:
        """Whether a slice that a watch shows is neither our own write nor older than that."""
        expected = self._expected.get(service, {}).get(seen.uid)
        if expected is None or expected.is_deleted:
            return expected is None
        if seen.generation != expected.generation:
            return seen.generation > expected.generation
        return seen.resource_version != expected.resource_version

    def saw_deletion(self, service: ServiceKey, gone: EndpointSlice) -> bool:
        """Forgets a slice that a watch says is gone; returns whether we had deleted it."""
        expected = self._expected.get(service, {}).pop(gone.uid, None)
        return expected is not None and expected.is_deleted

    def forget(self, service: ServiceKey) -> None:
        """Forgets a Service that is gone."""
        self._expected.pop(service, None)
