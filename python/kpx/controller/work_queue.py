"""Keys of what is to be looked at again: each once, later if it failed, never on two workers."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

__all__ = ["WorkQueue"]

FIRST_RETRY_SECONDS: Final = 1.0
LONGEST_RETRY_SECONDS: Final = 1000.0
"""Waits double from the first to the longest, as in upstream's controller. It gives a key up after
15 failures, until something changes; kpx goes on with the longest wait."""

_Key = TypeVar("_Key")


class WorkQueue(Generic[_Key]):
    """A queue of distinct keys for several workers.

    A key that is added while it is being worked on is handed out again once that is done.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts empty.

        Args:
            clock: Seconds, from any start.
        """
        self._clock = clock
        self._changed = threading.Condition()
        self._ready: dict[_Key, None] = {}
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
            elif key in self._working:
                self._again.add(key)
            else:
                self._ready[key] = None
            self._changed.notify()

    def get(self) -> _Key | None:
        """Waits for a key and hands it out; `None` once the queue is shut."""
        with self._changed:
            while not self._is_shut:
                self._take_due()
                if self._ready:
                    key = next(iter(self._ready))
                    del self._ready[key]
                    self._working.add(key)
                    return key
                self._changed.wait(self._later[0][0] - self._clock() if self._later else None)
            return None

    def done(self, key: _Key, *, failed: bool = False) -> None:
        """Says that a worker has finished with a key; one that failed comes again later."""
        with self._changed:
            self._working.discard(key)
            if key in self._again:
                self._again.discard(key)
                self._ready[key] = None
            failures = self._failures.pop(key, 0)
            if failed:
                self._failures[key] = failures + 1
                longest = min(failures, 20)
                self.add(key, min(FIRST_RETRY_SECONDS * 2**longest, LONGEST_RETRY_SECONDS))
            self._changed.notify()

    def shut(self) -> None:
        """Lets every worker go."""
        with self._changed:
            self._is_shut = True
            self._changed.notify_all()

    def _take_due(self) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, _, key = heapq.heappop(self._later)
            # Another time that is sooner may have been set since.
            if self._due.get(key) == due:
                del self._due[key]
                if key in self._working:
                    self._again.add(key)
                else:
                    self._ready[key] = None
