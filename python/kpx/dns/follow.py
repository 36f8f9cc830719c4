"""Doing something again after each change, but not more often than it can bear."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from typing import Final

from kpx.errors import KpxError

__all__ = ["Changes"]

_LEAST_SECONDS: Final = 1.0
"""What changes within this time is done at once."""
_REST: Final = 4
"""How many times as long as an action took nothing is done: a fifth of a processor at most."""
_MOST_SECONDS: Final = 60.0
"""How long is waited at most after failures, which are twice as far apart each time."""

_log = logging.getLogger(__name__)


class Changes:
    """Notes that something changed, and acts on it until the process is told to stop."""

    def __init__(self) -> None:
        """Nothing has changed yet."""
        self._changed = threading.Event()
        self._stopped = threading.Event()

    def note(self, *_: object) -> None:
        """Something changed. May be called from any thread."""
        self._changed.set()

    def stop(self, *_: object) -> None:
        """Nothing more is to be done."""
        self._stopped.set()
        self._changed.set()

    def follow(self, act: Callable[[], object], *, recheck: float | None = None) -> None:
        """Acts after each change until SIGINT or SIGTERM; only the main thread may call this.

        Args:
            act: What to do. If it fails, it is done again, later each time.
            recheck: After so many seconds it is done without a change.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.stop)
        failures = 0
        while not self._stopped.is_set():
            self._changed.wait(recheck)
            if self._stopped.is_set():
                break
            self._changed.clear()
            started = time.monotonic()
            try:
                act()
                failures = 0
            except KpxError as failure:
                _log.error("%s; it is tried again", failure)
                failures += 1
                self._changed.set()
            rest = max(_LEAST_SECONDS, _REST * (time.monotonic() - started))
            self._stopped.wait(min(_MOST_SECONDS, rest * 2**failures))
