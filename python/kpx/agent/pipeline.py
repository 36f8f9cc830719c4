"""Programs the kernel whenever something changed, and mends what others change in it."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from kpx._core import HealthCheck, Rejection, StaleFlows, SyncReport, Tally
from kpx.agent.cadence import Cadence, Work
from kpx.agent.health import Health
from kpx.agent.metrics import Metrics
from kpx.agent.omission import Omission
from kpx.agent.status import Status
from kpx.errors import CommitFailed, KpxError, ObserveFailed

__all__ = ["Core", "Pipeline"]

_log = logging.getLogger(__name__)


class Core(Protocol):
    """What plans and writes; `kpx.Proxier` is one, and says what each method does."""

    def sync(self, *, full: bool = False) -> SyncReport:
        """Programs what changed, or the difference to all that is desired."""

    def has_changes(self) -> bool:
        """Whether there is anything to program."""

    def drain(self, now: float) -> int:
        """Looks which endpoints that take nothing new can go; `sync` deletes them."""

    def drifted(self) -> bool:
        """Whether somebody else has written to the kernel."""

    def retry(self) -> int:
        """Lets the next `sync` try again what the kernel refused."""

    def take_stale_flows(self) -> StaleFlows:
        """What commits changed that flows are to be checked against."""

    def rejections(self) -> Sequence[Rejection]:
        """What is left out."""

    def tally(self) -> Tally:
        """What changed, what waits and what is not served here."""

    def health_checks(self) -> Sequence[HealthCheck]:
        """What load balancers ask this node."""


class Pipeline:
    """Carries out what its cadence says is due. One thread runs it; others tell it of changes."""

    def __init__(
        self,
        cadence: Cadence,
        health: Health,
        metrics: Metrics,
        status: Status,
        *,
        on_health_checks: Callable[[Sequence[HealthCheck]], None] = lambda _checks: None,
        on_omissions: Callable[[Sequence[Omission]], None] = lambda _omissions: None,
        on_programmed: Callable[[], None] = lambda: None,
        on_stale_flows: Callable[[StaleFlows], None] = lambda _flows: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Does nothing yet, and writes nothing before it is given a core that knows everything."""
        self._cadence = cadence
        self._health = health
        self._metrics = metrics
        self._status = status
        self._on_health_checks = on_health_checks
        self._on_omissions = on_omissions
        self._on_programmed = on_programmed
        self._on_stale_flows = on_stale_flows
        self._clock = clock
        self._core: Core | None = None
        self._must_compare = False
        self._stopped = False
        self._refused: frozenset[Omission] = frozenset()
        self._told: frozenset[Omission] = frozenset()
        self._wake = threading.Condition()

    def provide(self, core: Core) -> None:
        """Gives what has been read as a whole; from now on it is what the kernel shall hold."""
        self._metrics.provide(core.tally)
        with self._wake:
            self._core, self._must_compare = core, True
            self._note_change()

    def changed(self) -> None:
        """Something may have changed in the core."""
        with self._wake:
            self._note_change()

    def compare(self) -> None:
        """Compares all that is desired with the kernel, at once."""
        with self._wake:
            self._must_compare = True
            self._wake.notify()

    def pace(self, min_period: float, sync_period: float) -> None:
        """Sets the least time between two commits and the longest between two attempts, in seconds.

        It is also looked again at what is desired.
        """
        with self._wake:
            self._cadence.min_period = min_period
            self._cadence.sync_period = sync_period
            self._note_change()

    def stop(self) -> None:
        """Lets `run` return after the work at hand."""
        with self._wake:
            self._stopped = True
            self._wake.notify()

    def run(self) -> None:
        """Works until it is stopped."""
        while True:
            with self._wake:
                while not self._stopped and (pause := self._pause()) != 0:
                    self._wake.wait(pause)
                if self._stopped:
                    return
            self.step()

    def step(self) -> None:
        """Carries out what is due next, at once."""
        began = self._clock()
        with self._wake:
            core = self._core
            if core is None:
                return
            _, work = self._cadence.deadline()
            if self._must_compare:
                self._must_compare, work = False, Work.ALL
            if work is not Work.AUDIT:
                self._cadence.started()
        try:
            if work is Work.AUDIT:
                work = self._audit(core)
            if work is Work.AUDIT:
                return
            if work is Work.CHANGES and not core.has_changes():
                self._health.updated()
                self._tell(core)
                return
            if work is Work.RETRY:
                core.retry()
            report = core.sync(full=work is Work.ALL)
        except (ObserveFailed, CommitFailed) as failure:
            self._fail(failure)
            return
        self._finish(core, work, report, began)

    def _audit(self, core: Core) -> Work:
        """Looks whether there is anything to do, and returns what; `AUDIT` for nothing."""
        is_drained = core.drain(self._clock()) > 0
        if core.drifted():
            return Work.ALL
        with self._wake:
            self._cadence.audited(self._clock())
            if is_drained:
                self._cadence.started()
        return Work.CHANGES if is_drained else Work.AUDIT

    def _finish(self, core: Core, work: Work, report: SyncReport, began: float) -> None:
        if flows := core.take_stale_flows():
            self._on_stale_flows(flows)
        now = self._clock()
        with self._wake:
            is_complete = not (report.failures or report.prune_pending)
            self._cadence.finished(work, began, now, is_complete=is_complete)
        self._health.updated()
        self._metrics.synced(work, report, now - began)
        self._status.synced(work, report, now - began)
        if report.repairs:
            _log.warning("repaired %d changes that others made", report.repairs)
        self._refused = frozenset(
            Omission(True, failure.kind, failure.name, failure.reason, True)
            for failure in report.failures
        )
        self._tell(core)
        self._on_health_checks(core.health_checks())
        self._on_programmed()

    def _pause(self) -> float | None:
        """Seconds until something is due; 0 if it is now, `None` if nothing will be."""
        if self._core is None:
            return None
        due, _ = self._cadence.deadline()
        return 0 if self._must_compare else max(0, due - self._clock())

    def _note_change(self) -> None:
        self._cadence.changed(self._clock())
        self._health.queued()
        self._metrics.queued()
        self._wake.notify()

    def _fail(self, failure: KpxError) -> None:
        with self._wake:
            self._cadence.failed(self._clock())
        self._metrics.failed()
        self._status.failed(failure.message)
        hint = f" ({failure.hint})" if failure.hint else ""
        _log.error("cannot program the kernel: %s%s; trying again", failure, hint)

    def _tell(self, core: Core) -> None:
        """Names, once each, what is left out and what the kernel refused."""
        rejections = core.rejections()
        found = self._refused.union(
            Omission(False, one.kind, one.name, one.reason, one.whole) for one in rejections
        )
        news = sorted(found - self._told)
        for one in news:
            act = "refused by the kernel" if one.is_refused else "rejected"
            _log.warning("%s: %s `%s`: %s", act, one.kind, one.name, one.reason)
        self._told = found
        self._metrics.rejected(len(rejections))
        self._status.left_out(found)
        if news:
            self._on_omissions(news)
