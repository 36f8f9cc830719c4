"""The pipeline over a core that does as it is told, with a clock that stands still."""

import json
from dataclasses import dataclass, field
from typing import Any, cast

from kpx._core import HealthCheck, Rejection, StaleFlows, SyncReport, Tally
from kpx.agent.cadence import Cadence
from kpx.agent.health import Health
from kpx.agent.metrics import Metrics
from kpx.agent.omission import Omission
from kpx.agent.pipeline import Pipeline
from kpx.agent.status import Status
from kpx.errors import CommitFailed


@dataclass
class Report:
    failures: list[Any] = field(default_factory=list)
    prune_pending: bool = False
    repairs: int = 0
    operations: int = 0
    services: int = 0
    endpoints: int = 0
    trigger_times: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Failure:
    kind: str = "Service"
    name: str = "default/web"
    reason: str = "no"


@dataclass
class Counts:
    pending_services: int = 0
    pending_slices: dict[str, int] = field(default_factory=lambda: {"IPv4": 0, "IPv6": 0})
    service_changes: int = 0
    slice_changes: dict[str, int] = field(default_factory=lambda: {"IPv4": 0, "IPv6": 0})
    no_local_endpoints: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass
class Core:
    calls: list[str] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    changes: bool = True
    drift: bool = False
    drained: int = 0
    error: CommitFailed | None = None
    counts: "Counts" = field(default_factory=lambda: Counts())

    def sync(self, *, full: bool = False) -> SyncReport:
        self.calls.append("full" if full else "changes")
        if self.error:
            raise self.error
        report = self.reports.pop(0) if self.reports else Report()
        return cast(SyncReport, report)

    def has_changes(self) -> bool:
        return self.changes

    def drain(self, now: float) -> int:
        return self.drained

    def drifted(self) -> bool:
        self.calls.append("audit")
        return self.drift

    def retry(self) -> int:
        self.calls.append("retry")
        return 1

    def rejections(self) -> list[Rejection]:
        return []

    def tally(self) -> Tally:
        return cast(Tally, self.counts)

    def take_stale_flows(self) -> StaleFlows:
        return cast(StaleFlows, [])

    def health_checks(self) -> list[HealthCheck]:
        return []


class Rig:
    def __init__(self) -> None:
        self.now = 100.0
        self.health = Health(60, clock=lambda: self.now)
        self.status = Status("node", self.health, clock=lambda: self.now)
        self.metrics = Metrics()
        self.told: list[Omission] = []
        self.pipeline = Pipeline(
            Cadence(),
            self.health,
            self.metrics,
            self.status,
            on_omissions=self.told.extend,
            clock=lambda: self.now,
        )
        self.core = Core()

    def step(self, seconds: float = 0.0) -> list[str]:
        """What one step does after a while."""
        self.now += seconds
        self.core.calls.clear()
        self.pipeline.step()
        return list(self.core.calls)


def started() -> Rig:
    rig = Rig()
    rig.pipeline.provide(rig.core)
    assert rig.step() == ["full"]
    return rig


def test_nothing_happens_before_everything_is_known() -> None:
    rig = Rig()
    rig.pipeline.changed()
    assert rig.step() == []


def test_a_change_is_programmed_without_reading_the_kernel() -> None:
    rig = started()
    rig.now += 0.5
    rig.pipeline.changed()
    assert rig.step() == ["changes"]


def test_a_comparison_that_is_asked_for_is_made_at_once() -> None:
    rig = started()
    rig.pipeline.compare()
    assert rig.step() == ["full"]


def test_what_is_no_change_is_not_planned() -> None:
    rig = started()
    rig.core.changes = False
    rig.now += 0.5
    rig.pipeline.changed()
    assert rig.step() == []
    rig.now += 1000
    assert rig.health.healthz()[0] == 200


def test_an_audit_reads_the_kernel_only_if_somebody_else_wrote() -> None:
    rig = started()
    assert rig.step(1) == ["audit"]
    rig.core.drift = True
    assert rig.step(1) == ["audit", "full"]


def test_an_endpoint_that_is_drained_is_deleted() -> None:
    rig = started()
    rig.core.drained = 1
    assert rig.step(1) == ["audit", "changes"]
    rig.core.drained = 0
    assert rig.step(1) == ["audit"]


def test_a_refused_service_is_tried_again_and_blocks_nothing() -> None:
    rig = started()
    rig.now += 0.5
    rig.core.reports = [Report(failures=[Failure()]), Report(failures=[Failure()])]
    rig.pipeline.changed()
    assert rig.step() == ["changes"]
    assert rig.told == [Omission(True, "Service", "default/web", "no", True)]
    rig.core.changes = False
    rig.pipeline.changed()
    assert rig.step(0.05) == []
    rig.core.changes = True
    assert rig.step(0.2) == ["retry", "changes"]
    rig.pipeline.changed()
    assert rig.step(0.05) == ["changes"]
    assert len(rig.told) == 1


def test_what_is_to_be_pruned_is_tried_again() -> None:
    rig = started()
    rig.now += 0.5
    rig.core.reports = [Report(prune_pending=True)]
    rig.pipeline.changed()
    assert rig.step() == ["changes"]
    assert rig.step(0.2) == ["retry", "changes"]


def test_a_failed_commit_is_tried_again_whole_and_makes_unhealthy_if_it_lasts() -> None:
    rig = started()
    rig.now += 0.5
    rig.core.error = CommitFailed("no permission")
    rig.pipeline.changed()
    assert rig.step() == ["changes"]
    assert rig.step(0.2) == ["full"]
    assert rig.health.healthz()[0] == 200
    rig.now += 60
    assert rig.health.healthz()[0] == 503
    rig.core.error = None
    assert rig.step() == ["full"]
    assert rig.health.healthz()[0] == 200


def test_the_status_tells_what_happened() -> None:
    rig = started()
    before = json.loads(rig.status.page())
    assert before["pendingSince"] is None
    assert before["lastFailure"] is None
    assert before["lastSync"]["work"] == "all"
    rig.core.error = CommitFailed("no permission")
    rig.now = 100.5
    rig.pipeline.changed()
    rig.step()
    failed = json.loads(rig.status.page())
    assert failed["pendingSince"] == "1970-01-01T00:01:40.500+00:00"
    reason = {"time": "1970-01-01T00:01:40.500+00:00", "reason": "no permission"}
    assert (failed["failures"], failed["lastFailure"]) == (1, reason)
    rig.core.error = None
    rig.core.reports = [Report(failures=[Failure()], repairs=3, operations=4)]
    rig.step(0.2)
    after = json.loads(rig.status.page())
    assert after["pendingSince"] is None
    assert (after["syncs"], after["repaired"], after["lastSync"]["operations"]) == (2, 3, 4)
    refused = {"kind": "Service", "name": "default/web", "reason": "no"}
    assert after["leftOut"] == {
        "count": 1,
        "objects": [{**refused, "refused": True, "whole": True}],
    }


def test_the_status_names_a_bounded_number_of_objects() -> None:
    rig = Rig()
    rig.status.left_out(
        Omission(False, "Service", f"default/{number}", "no", False) for number in range(250)
    )
    left_out = json.loads(rig.status.page())["leftOut"]
    assert (left_out["count"], len(left_out["objects"])) == (250, 100)
