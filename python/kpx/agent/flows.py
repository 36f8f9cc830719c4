"""Deletes stale flows behind the pipeline's back: a list of all flows must not delay a commit."""

import logging
import threading
import time
from typing import Final

from kpx._core import StaleFlows
from kpx.agent.metrics import Metrics
from kpx.errors import FlushFailed

__all__ = ["Flusher"]

FIRST_RETRY_SECONDS: Final = 1.0
LONGEST_RETRY_SECONDS: Final = 60.0

_log = logging.getLogger(__name__)


class Flusher:
    """Flushes what it is given, one after the other. One thread runs it; another submits.

    What fails is tried again after a pause that doubles, or with what is submitted next.
    """

    def __init__(self, metrics: Metrics, *, first_retry: float = FIRST_RETRY_SECONDS) -> None:
        """Does nothing yet.

        Args:
            metrics: Counts what is deleted.
            first_retry: Seconds until what failed is tried again the first time.
        """
        self._metrics = metrics
        self._first_retry = first_retry
        self._retry: float | None = None
        self._stale: StaleFlows | None = None
        self._is_due = False
        self._stopped = False
        self._wake = threading.Condition()

    def submit(self, stale: StaleFlows) -> None:
        """Adds frontends to check, with those that are still to be checked."""
        with self._wake:
            self._stale = self._stale.merged(stale) if self._stale is not None else stale
            self._is_due = True
            self._wake.notify()

    def stop(self) -> None:
        """Lets `run` return once what was submitted is done, or has failed."""
        with self._wake:
            self._stopped = True
            self._wake.notify()

    def run(self) -> None:
        """Works until it is stopped."""
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._is_due or self._stopped, self._retry)
                if self._stopped and not self._is_due:
                    return
                stale, self._stale = self._stale, None
                self._is_due = False
            if stale is not None:
                self._flush(stale)

    def _flush(self, stale: StaleFlows) -> None:
        began = time.monotonic()
        try:
            deleted = stale.flush()
        except FlushFailed as failure:
            with self._wake:
                # What came meanwhile knows better.
                self._stale = stale.merged(self._stale) if self._stale is not None else stale
            seconds = min(self._retry * 2, LONGEST_RETRY_SECONDS) if self._retry else None
            self._retry = seconds or self._first_retry
            self._metrics.flush_failed()
            hint = f" ({failure.hint})" if failure.hint else ""
            again = f"trying again in {self._retry:g} s"
            _log.error("cannot delete stale flows: %s%s; %s", failure, hint, again)
            return
        self._retry = None
        self._metrics.flushed(deleted, time.monotonic() - began)
        if deleted:
            _log.info("deleted %d stale flows", deleted)
