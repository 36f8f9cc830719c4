"""One pass over a node: read everything, plan, and commit."""

from dataclasses import dataclass
from time import perf_counter

from kpx._core import Plan, Proxier, Rejection, SyncReport
from kpx.config import Settings
from kpx.ipvs import prepare as prepare_ipvs
from kpx.sources import Loaded, Rejected, Source

__all__ = ["Commit", "Prepared", "prepare"]


@dataclass(frozen=True)
class Prepared:
    """Everything read and compared with the kernel; nothing written yet."""

    settings: Settings
    proxier: Proxier
    plan: Plan
    loaded: Loaded
    decode_seconds: float
    """Time spent to read and decode the source."""
    plan_seconds: float
    """Time spent to read the kernel and to compare."""

    @property
    def rejected(self) -> list[Rejection | Rejected]:
        """Every object, or part of one, that was left out."""
        return [*self.proxier.rejections(), *self.loaded.rejected]

    def commit(self) -> "Commit":
        """Makes the kernel equal to what was read.

        Raises:
            CommitFailed: The kernel refused; no rule was changed.
        """
        started = perf_counter()
        prepare_ipvs(self.settings)
        report = self.proxier.apply(self.plan)
        return Commit(report, perf_counter() - started)

    def flush(self) -> int:
        """Deletes the UDP flows that the commit made stale; returns how many those were.

        Raises:
            FlushFailed: They may still be there; what is committed stays.
        """
        return self.proxier.take_stale_flows().flush()


@dataclass(frozen=True)
class Commit:
    """What a commit did, and how long it took."""

    report: SyncReport
    seconds: float


def prepare(settings: Settings, source: Source) -> Prepared:
    """Reads a source whole and plans.

    Raises:
        ConfigurationInvalid: The settings do not make sense.
        ManifestUnreadable: A manifest cannot be read.
        ClusterUnreadable: The cluster cannot be read.
        ObserveFailed: The kernel cannot be read.
    """
    started = perf_counter()
    proxier = Proxier(settings.to_core())
    loaded = source.load(proxier)
    read = perf_counter()
    plan = proxier.plan()
    return Prepared(settings, proxier, plan, loaded, read - started, perf_counter() - read)
