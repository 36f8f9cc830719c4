"""When to write to the kernel, and when to look whether somebody else did. Reads no clock."""

from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Final

__all__ = ["Cadence", "Work"]

_FIRST_RETRY_SECONDS: Final = 0.2
_AUDIT_SHARE: Final = 10
"""Reading the kernel whole is followed by at least so many times its duration without an audit."""


class Work(Enum):
    """What is due."""

    CHANGES = "changes"
    """Program what changed since the last commit."""
    AUDIT = "audit"
    """Ask the kernel whether somebody else has written to it."""
    RETRY = "retry"
    """Program again what the kernel refused of single objects."""
    ALL = "all"
    """Read the kernel, compare everything, and program the difference."""


@dataclass
class Cadence:
    """Decides what is due when. Times are seconds of any one clock.

    A change that comes after a pause is due at once. Changes that come thick and fast are gathered
    for as long as they keep coming, within a bound. What fails is tried again, whole, after a
    while that doubles.
    """

    quiet: float = 0.002
    """How long no change may come before those gathered are due."""
    longest: float = 0.02
    """How long a change is gathered at most."""
    min_period: float = 0.0
    """The least time between the end of a commit and the start of the next."""
    sync_period: float = 30.0
    """The longest time between two attempts."""
    audit_period: float = 1.0
    """The time between two audits."""
    _first_change: float | None = field(default=None, init=False)
    _last_change: float = field(default=-inf, init=False)
    _finished: float = field(default=-inf, init=False)
    _audit: float = field(default=-inf, init=False)
    _retry: float = field(default=0.0, init=False)
    _retry_at: float | None = field(default=None, init=False)
    _has_failed: bool = field(default=False, init=False)

    def changed(self, now: float) -> None:
        """Something may have changed."""
        if self._first_change is None:
            self._first_change = now
        self._last_change = now

    def deadline(self) -> tuple[float, Work]:
        """When which work is due; a time that has passed means now."""
        due = [(self._audit, Work.AUDIT)]
        if self._retry_at is not None:
            if self._has_failed:
                return self._retry_at, Work.ALL
            due.append((self._retry_at, Work.RETRY))
        if self._first_change is not None:
            due.append((self._due(self._first_change), Work.CHANGES))
        return min(due, key=lambda one: one[0])

    def _due(self, first_change: float) -> float:
        is_busy = first_change - self._finished < self.longest
        gathered = (
            min(self._last_change + self.quiet, first_change + self.longest)
            if is_busy
            else first_change
        )
        return max(gathered, self._finished + self.min_period)

    def started(self) -> None:
        """Work begins: what changes from now on is not part of it."""
        self._first_change = None

    def audited(self, now: float) -> None:
        """An audit found nothing."""
        self._audit = now + self.audit_period

    def finished(self, work: Work, began: float, now: float, *, is_complete: bool = True) -> None:
        """Work succeeded; where it is not complete, single objects are to be tried again."""
        self._finished = now
        self._has_failed = False
        if is_complete:
            self._retry, self._retry_at = 0.0, None
        elif work is not Work.CHANGES or self._retry_at is None:
            self._wait(now)
        if work is Work.ALL:
            self._audit = now + max(self.audit_period, (now - began) * _AUDIT_SHARE)

    def failed(self, now: float) -> None:
        """Work failed; nothing of it was done."""
        self._finished = now
        self._has_failed = True
        self._wait(now)

    def _wait(self, now: float) -> None:
        self._retry = min(self._retry * 2 or _FIRST_RETRY_SECONDS, self.sync_period)
        self._retry_at = now + self._retry
