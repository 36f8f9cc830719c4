"""The Pods as the API server last showed them. They stay bytes and records in the core."""

import logging
import threading
from collections.abc import Callable, Iterable

from kpx._core import EventReport, FeedReport, Pod, PodOutcome, PodStore

__all__ = ["PodCache"]

_log = logging.getLogger(__name__)


class PodCache:
    """What a reflector feeds, as `Cache`, for the one kind of which there may be 150,000."""

    def __init__(
        self, on_change: Callable[[Pod | None, Pod | None], None], lock: threading.RLock
    ) -> None:
        """Starts empty.

        Args:
            on_change: Told what was and what is; called with the lock held.
            lock: Held while anything changes. Whoever reads holds it, too.
        """
        self._on_change = on_change
        self._lock = lock
        self.store = PodStore()

    def begin_replace(self, kind: str) -> None:
        """A new full list begins."""
        with self._lock:
            self.store.begin_replace()

    def end_replace(self, kind: str) -> None:
        """What did not come since `begin_replace` is gone."""
        with self._lock:
            self._tell(self.store.end_replace())

    def feed(self, frame: bytes) -> FeedReport:
        """Takes in a page of a list."""
        with self._lock:
            report, outcome = self.store.feed(frame)
            self._take(outcome)
            return report

    def feed_event(self, line: bytes) -> EventReport:
        """Takes in a line of a watch."""
        with self._lock:
            report, outcome = self.store.feed_event(line)
            self._take(outcome)
            return report

    def _take(self, outcome: PodOutcome) -> None:
        for name, reason in outcome.rejections:
            _log.warning("Pod `%s` is left out: %s", name, reason)
        self._tell(outcome.changes)

    def _tell(self, changes: Iterable[tuple[Pod | None, Pod | None]]) -> None:
        for old, new in changes:
            self._on_change(old, new)
