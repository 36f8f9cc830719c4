"""One kind of object that is kept right for each Service: its queue, its workers, its errors."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from enum import Enum, auto

from kpx.controller.cache import Key
from kpx.controller.metrics import QueueMetrics
from kpx.controller.work_queue import WorkQueue
from kpx.errors import KpxError
from kpx.kube import Client

__all__ = ["Absence", "Absences", "CacheBehind", "SyncFailed", "Upkeep"]

_log = logging.getLogger(__name__)


class SyncFailed(KpxError):
    """What a Service has could not be made right yet; it is tried again."""


class CacheBehind(SyncFailed):
    """The cache does not show our own last writes yet."""


class Absence(Enum):
    """Why a Service is not known."""

    GONE = auto()
    """There is no such Service."""
    NOT_CHOSEN = auto()
    """There is one, and it is not to be kept."""
    UNREADABLE = auto()
    """There is one, and no version of it was ever valid."""


Absences = Callable[[Client, Key], Absence]
"""Finds out why a Service is not known."""


class Upkeep(ABC):
    """Makes what a Service has of one kind right, whenever it is told to look.

    Attributes:
        name: What its work queue is called, as upstream's is.
    """

    name: str
    first_retry: float
    longest_retry: float
    """Between how many seconds the waits after failures double."""

    def __init__(self, queue_metrics: QueueMetrics) -> None:
        """Does nothing before `lead`.

        Args:
            queue_metrics: What counts how the queue is doing.
        """
        self._queue_metrics = queue_metrics
        self._queue: WorkQueue[Key] | None = None

    @abstractmethod
    def sync(self, client: Client, key: Key, is_lost: Callable[[], bool]) -> None:
        """Makes what one Service has right.

        Raises:
            SyncFailed: It is to be tried again.
            KpxError: The API server refused a write or cannot be reached.
        """

    @abstractmethod
    def begin_term(self) -> Iterable[Key]:
        """Forgets what an earlier term expected; returns what is to be looked at first."""

    def add(self, key: Key, delay: float = 0.0) -> None:
        """Has a Service looked at after some seconds, if this process leads."""
        queue = self._queue
        if queue is not None:
            queue.add(key, delay)

    def begin(self, clock: Callable[[], float] = time.monotonic) -> WorkQueue[Key]:
        """Begins a term, with the caches locked: everything is looked at once.

        Args:
            clock: Seconds, from any start.
        """
        self._queue = WorkQueue(
            clock,
            first_retry=self.first_retry,
            longest_retry=self.longest_retry,
            observer=self._queue_metrics,
        )
        for key in self.begin_term():
            self._queue.add(key)
        return self._queue

    def end(self) -> None:
        """Ends a term: workers finish what they are at."""
        if self._queue is not None:
            self._queue.shut()
        self._queue = None

    def work(self, client: Client, queue: WorkQueue[Key], lost: threading.Event) -> None:
        """What a worker does until the queue is shut."""
        while (key := queue.get()) is not None:
            with self._queue_metrics.working():
                self._look_at(client, key, queue, lost)

    def _look_at(
        self, client: Client, key: Key, queue: WorkQueue[Key], lost: threading.Event
    ) -> None:
        try:
            self.sync(client, key, lost.is_set)
        except CacheBehind as waiting:
            # As it should be: the watch shows our writes a moment after the answer.
            queue.done(key, failed=True)
            _log.debug("%s `%s/%s`: %s", self.name, *key, waiting)
        except KpxError as failure:
            queue.done(key, failed=True)
            _log.warning("%s `%s/%s`: %s; it is tried again", self.name, *key, failure)
        except Exception:
            queue.done(key, failed=True)
            _log.exception("%s `%s/%s`: it is tried again", self.name, *key)
        else:
            queue.done(key)
