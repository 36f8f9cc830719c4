"""Keys of what is to be looked at again: each once, later if it failed, never on two workers."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

__all__ = ["QueueObserver", "WorkQueue"]

FIRST_RETRY_SECONDS: Final = 1.0
LONGEST_RETRY_SECONDS: Final = 1000.0
"""Waits double from the first to the longest, as in upstream's controller. It gives a key up after
15 failures, until something changes; kpx goes on with the longest wait."""

_Key = TypeVar("_Key")


class QueueObserver(Protocol):
    """Is told what happens in a queue."""

    def added(self, depth: int) -> None:
        """A key came in that did not wait already."""

    def taken(self, depth: int, waited: float) -> None:
        """A worker took a key that had waited so many seconds."""

    def retried(self) -> None:
        """A key that failed comes again later."""


class _Nobody:
    def added(self, depth: int) -> None: ...

    def taken(self, depth: int, waited: float) -> None: ...

    def retried(self) -> None: ...


class WorkQueue(Generic[_Key]):
    """A queue of distinct keys for several workers.

    A key that is added while it is being worked on is handed out again once that is done.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        first_retry: float = FIRST_RETRY_SECONDS,
        longest_retry: float = LONGEST_RETRY_SECONDS,
        observer: QueueObserver | None = None,
    ) -> None:
        """Starts empty.

        Args:
            clock: Seconds, from any start.
            first_retry: Seconds until a key that failed once comes again.
            longest_retry: Seconds until one comes again that failed often.
            observer: Who is told what happens.
        """
        self._clock = clock
        self._first_retry = first_retry
        self._longest_retry = longest_retry
        self._observer: QueueObserver = observer or _Nobody()
        self._changed = threading.Condition()
        self._ready: dict[_Key, float] = {}
        """Since when each waits for a worker."""
        self._working: set[_Key] = set()
        self._again: set[_Key] = set()
        self._later: list[tuple[float, int, _Key]] = []
        self._due: dict[_Key, float] = {}
        self._order = itertools.count()
        self._failures: dict[_Key, int] = {}
        self._is_shut = False

    def add(self, key: _Key, delay: float = 0.0) -> None:
        """Has a key looked at, after some seconds; the soonest of several times counts."""
        with self._changed:
            if delay > 0:
                due = self._clock() + delay
                if due < self._due.get(key, float("inf")):
                    self._due[key] = due
                    heapq.heappush(self._later, (due, next(self._order), key))
            else:
                self._hand_out(key)
            self._changed.notify()

    def get(self) -> _Key | None:
        """Waits for a key and hands it out; `None` once the queue is shut."""
        with self._changed:
            while not self._is_shut:
                self._take_due()
                if self._ready:
                    key = next(iter(self._ready))
                    since = self._ready.pop(key)
                    self._working.add(key)
                    self._observer.taken(len(self._ready), self._clock() - since)
                    return key
                self._changed.wait(self._later[0][0] - self._clock() if self._later else None)
            return None

    def done(self, key: _Key, *, failed: bool = False) -> None:
        """Says that a worker has finished with a key; one that failed comes again later."""
        with self._changed:
            self._working.discard(key)
            if key in self._again:
                self._again.discard(key)
                self._hand_out(key)
            failures = self._failures.pop(key, 0)
            if failed:
                self._failures[key] = failures + 1
                wait = self._first_retry * 2 ** min(failures, 30)
                self.add(key, min(wait, self._longest_retry))
                self._observer.retried()
            self._changed.notify()

    def shut(self) -> None:
        """Lets every worker go."""
        with self._changed:
            self._is_shut = True
            self._changed.notify_all()

    def _hand_out(self, key: _Key) -> None:
        if key in self._working:
            self._again.add(key)
        elif key not in self._ready:
            self._ready[key] = self._clock()
            self._observer.added(len(self._ready))

    def _take_due(self) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, _, key = heapq.heappop(self._later)
            # Another time that is sooner may have been set since.
            if self._due.get(key) == due:
                del self._due[key]
                self._hand_out(key)
