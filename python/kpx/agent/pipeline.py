"""Programs the kernel whenever something changed, and mends what others change in it."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from kpx._core import Plan, Rejection, SyncReport
from kpx.agent.cadence import Cadence, Work
from kpx.agent.health import Health
from kpx.agent.metrics import Metrics
from kpx.errors import CommitFailed, KpxError, ObserveFailed

__all__ = ["Core", "Pipeline"]

_log = logging.getLogger(__name__)


class Core(Protocol):
    """What plans and writes; `kpx.Proxier` is one."""

    def plan(self) -> Plan:
        """Compares everything with the kernel."""

    def plan_changes(self) -> Plan:
        """Plans what changed since the last commit."""

    def apply(self, plan: Plan) -> SyncReport:
        """Commits a plan."""

    def rejections(self) -> Sequence[Rejection]:
        """What is left out."""


class Pipeline:
    """Carries out what its cadence says is due. One thread runs it; others tell it of changes."""

    def __init__(
        self,
        cadence: Cadence,
        health: Health,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Does nothing yet, and writes nothing before it is given a core that knows everything."""
        self._cadence = cadence
        self._health = health
        self._metrics = metrics
        self._clock = clock
        self._core: Core | None = None
        self._is_new = False
        self._stopped = False
        self._rejected: frozenset[tuple[str, str, str]] = frozenset()
        self._wake = threading.Condition()

    def provide(self, core: Core) -> None:
        """Gives what has been read as a whole; from now on it is what the kernel shall hold."""
        with self._wake:
            self._core, self._is_new = core, True
            self._note_change()

    def changed(self) -> None:
        """Something may have changed in the core."""
        with self._wake:
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
            if self._is_new:
                work = Work.ALL
            is_new, self._is_new = self._is_new, False
            self._cadence.started()
        try:
            report = self._commit(core, work, is_new)
        except (ObserveFailed, CommitFailed) as failure:
            self._fail(failure)
            return
        now = self._clock()
        with self._wake:
            self._cadence.finished(work, began, now)
        self._health.updated()
        self._metrics.synced(work, report, now - began)
        self._tell_rejections(core)

    def _commit(self, core: Core, work: Work, is_new: bool) -> SyncReport:
        plan = core.plan() if work is Work.ALL else core.plan_changes()
        if work is Work.ALL and not is_new and plan:
            # What changed since the last commit may be among it.
            _log.info("the kernel differs from what is desired; repairing: %d changes", len(plan))
        return core.apply(plan)

    def _pause(self) -> float | None:
        """Seconds until something is due; 0 if it is now, `None` if nothing will be."""
        if self._core is None:
            return None
        due, _ = self._cadence.deadline()
        return 0 if self._is_new else max(0, due - self._clock())

    def _note_change(self) -> None:
        self._cadence.changed(self._clock())
        self._health.queued()
        self._wake.notify()

    def _fail(self, failure: KpxError) -> None:
        with self._wake:
            self._cadence.failed(self._clock())
        self._metrics.failed()
        hint = f" ({failure.hint})" if failure.hint else ""
        _log.error("cannot program the kernel: %s%s; trying again", failure, hint)

    def _tell_rejections(self, core: Core) -> None:
        rejections = core.rejections()
        found = frozenset((one.kind, one.name, one.reason) for one in rejections)
        for kind, name, reason in sorted(found - self._rejected):
            _log.warning("rejected: %s `%s`: %s", kind, name, reason)
        self._rejected = found
        self._metrics.rejected(len(rejections))
