"""When to write to the kernel, and when to look whether somebody else did. Reads no clock."""

from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Final

__all__ = ["Cadence", "Work"]

_FIRST_RETRY_SECONDS: Final = 0.2
_AUDIT_SHARE: Final = 50
"""An audit is followed by at least so many times its own duration without one."""


class Work(Enum):
    """What is due."""

    CHANGES = "changes"
    """Program what changed since the last commit."""
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
    """The longest time between two comparisons of everything, and between two attempts."""
    audit_period: float = 1.0
    """The least time between two comparisons of everything."""
    _first_change: float | None = field(default=None, init=False)
    _last_change: float = field(default=-inf, init=False)
    _finished: float = field(default=-inf, init=False)
    _audit: float = field(default=-inf, init=False)
    _retry: float = field(default=0.0, init=False)
    _retry_at: float | None = field(default=None, init=False)

    def changed(self, now: float) -> None:
        """Something may have changed."""
        if self._first_change is None:
            self._first_change = now
        self._last_change = now

    def deadline(self) -> tuple[float, Work]:
        """When which work is due; a time that has passed means now."""
        if self._retry_at is not None:
            return self._retry_at, Work.ALL
        audit = self._audit, Work.ALL
        if self._first_change is None:
            return audit
        return min((self._due(self._first_change), Work.CHANGES), audit, key=lambda due: due[0])

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

    def finished(self, work: Work, began: float, now: float) -> None:
        """Work succeeded."""
        self._finished = now
        self._retry, self._retry_at = 0.0, None
        if work is Work.ALL:
            pause = max(self.audit_period, (now - began) * _AUDIT_SHARE)
            self._audit = now + min(pause, max(self.sync_period, self.audit_period))

    def failed(self, now: float) -> None:
        """Work failed; nothing of it was done."""
        self._finished = now
        self._retry = min(self._retry * 2 or _FIRST_RETRY_SECONDS, self.sync_period)
        self._retry_at = now + self._retry
