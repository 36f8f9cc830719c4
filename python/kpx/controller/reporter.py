"""Tells of what happens to a Service, or to Endpoints, by Events under upstream's reasons."""

from kpx.controller.cache import Key
from kpx.kube import EventRecorder, ObjectReference

__all__ = ["Reporter"]


class Reporter:
    """Records Events for one of upstream's controllers; without a recorder, nothing."""

    def __init__(self, recorder: EventRecorder | None, kind: str) -> None:
        """Records nothing yet.

        Args:
            recorder: What writes them.
            kind: What they are about: `Service` or `Endpoints`.
        """
        self._recorder = recorder
        self._kind = kind

    def warn(self, key: Key, uid: str, reason: str, note: str) -> None:
        """Something is not as it should be."""
        self._record(key, uid, "Warning", reason, note)

    def tell(self, key: Key, uid: str, reason: str, note: str) -> None:
        """Something is as it should be."""
        self._record(key, uid, "Normal", reason, note)

    def _record(self, key: Key, uid: str, event_type: str, reason: str, note: str) -> None:
        if self._recorder is not None:
            namespace, name = key
            regarding = ObjectReference("v1", self._kind, name, namespace, uid)
            self._recorder.record(regarding, event_type, reason, "Sync", note)
