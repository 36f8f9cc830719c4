"""What we wrote ourselves, so that a cache that does not show it yet is not believed.

As `endpointslice_tracker.go` upstream. kpx also keeps the resource version of each write: an edit
of metadata does not move the generation, and would go unnoticed (upstream's `ShouldSync`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from kpx.endpointslices.slices import EndpointSlice

__all__ = ["ExpectationTracker", "VersionTracker"]

ServiceKey = tuple[str, str]
"""The namespace and the name of a Service."""


@dataclass(frozen=True, slots=True)
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
        of_service = self._expected.get(service, {})
        expected = of_service.pop(gone.uid, None)
        if not of_service:
            self._expected.pop(service, None)
        return expected is not None and expected.is_deleted

    def forget(self, service: ServiceKey) -> None:
        """Forgets a Service that is gone."""
        self._expected.pop(service, None)


class VersionTracker:
    """Which version of a single object our last write replaced.

    As `endpoints_tracker.go` upstream: a cache that still shows the version replaced is behind. A
    write that changed nothing replaces no version, and must not make the cache wait (#117193).
    """

    def __init__(self) -> None:
        """Expects nothing yet."""
        self._replaced: dict[ServiceKey, str] = {}
        self._has_moved: dict[ServiceKey, bool] = {}

    def begins(self, key: ServiceKey) -> None:
        """Notes that a write of an object begins."""
        self._has_moved[key] = False

    def seen(self, key: ServiceKey) -> None:
        """Notes that the cache shows another version, or that the object is gone."""
        self._replaced.pop(key, None)
        if key in self._has_moved:
            self._has_moved[key] = True

    def ended(self, key: ServiceKey, before: str, after: str | None) -> None:
        """Notes that a write has ended.

        Args:
            key: The object.
            before: The version it had, which the write required; empty if it was created.
            after: The version it has; empty if it was deleted, `None` if nothing was written.
        """
        # A cache that has moved since shows our write already, or something newer.
        has_moved = self._has_moved.pop(key, False)
        if after is not None and before != after and not has_moved:
            self._replaced[key] = before

    def is_stale(self, key: ServiceKey, cached: str) -> bool:
        """Whether a cached version is one that we replaced; empty says that there is none."""
        return self._replaced.get(key) == cached
