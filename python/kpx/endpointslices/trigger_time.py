"""When the change happened that a write of slices publishes.

As `trigger_time_tracker.go` upstream, which takes every Service for a new one after a restart and
then writes the time of its creation. kpx goes on from the time that the Service's slices carry.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from kpx._core import Pod
from kpx.endpointslices.objects import Service

__all__ = ["TriggerTimeTracker"]


@dataclass(slots=True)
class _Seen:
    service: str
    pods: dict[str, str] = field(default_factory=dict)


class TriggerTimeTracker:
    """The changes of each Service that were already published. Times are RFC 3339 in UTC."""

    def __init__(self) -> None:
        """Has seen nothing yet."""
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._unwritten: dict[tuple[str, str], str] = {}

    def compute(self, service: Service, pods: Iterable[Pod], published: Iterable[str]) -> str:
        """The time of the earliest change not yet published; empty if there is none.

        The changes come again until `written` says that they are published.

        Args:
            service: The Service.
            pods: The Pods it selects.
            published: The times that what is there for it carries; empty for what carries none.
        """
        key = (service.namespace, service.name)
        times = (self._unwritten.get(key, ""), self._news(key, service, pods, list(published)))
        time = min(filter(None, times), default="")
        self._unwritten[key] = time
        return time

    def written(self, service: tuple[str, str]) -> None:
        """Says that what `compute` last told of a Service is published."""
        self._unwritten.pop(service, None)

    def _news(
        self,
        key: tuple[str, str],
        service: Service,
        pods: Iterable[Pod],
        published: list[str],
    ) -> str:
        ready = {pod.name: pod.ready_since for pod in pods}
        before, self._seen[key] = self._seen.get(key), _Seen(service.created, ready)
        if before is None and not published:
            return service.created
        if before is None:
            latest = max(published)
            return min((time for time in ready.values() if latest and time > latest), default="")
        changed = [time for name, time in ready.items() if time and before.pods.get(name) != time]
        if service.created != before.service:
            changed.append(service.created)
        return min(changed, default="")

    def forget(self, service: tuple[str, str]) -> None:
        """Forgets a Service that is gone."""
        self._seen.pop(service, None)
        self._unwritten.pop(service, None)
