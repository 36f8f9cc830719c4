"""What must hold: ratios of figures of one run, never times.

A time that an issue asks for is divided here by what a yardstick took on the machine where the
targets were set (2 cores, Linux 6.18): the core 28 µs for one endpoint, the kernel alone 188 ms for
10,000 x 10; and 120 MB by the 298 MiB that `nft -f` took for them. A peer that did not finish
counts with the bound it did not keep.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .results import UNFINISHED, Measurement, Results

_STATISTICS: dict[str, Callable[[Measurement], float | None]] = {
    "p50": lambda one: one.p50,
    "p99": lambda one: one.p99,
    "least": lambda one: min(one.seconds),
    "cpu": lambda one: one.cpu_seconds,
    "peak": lambda one: one.peak_bytes,
}


@dataclass(frozen=True)
class Figure:
    """A figure of one measurement."""

    peer: str
    case: str
    services: int
    endpoints: int = 10
    kind: str = "plain"
    of: str = "p50"
    """`p50`, `p99`, or `least`, as what disturbs a step only ever makes it slower; `cpu`, the
    processor time on average; `peak`, the memory in bytes.
    """

    def read(self, results: Results) -> float | None:
        """Returns the figure, or `None` if there is none."""
        found = results.get(self.peer, self.case, self.services, self.endpoints, self.kind)
        if found is None:
            return None
        if found.seconds:
            return _STATISTICS[self.of](found)
        return results.bound if found.outcome == UNFINISHED else None


@dataclass(frozen=True)
class Target:
    """A ratio of two figures, and what it must be."""

    what: str
    figure: Figure
    against: Figure
    at_most: float | None = None
    at_least: float | None = None

    def ratio(self, results: Results) -> float | None:
        """Returns the ratio, or `None` where one of the two was not measured."""
        figure, against = self.figure.read(results), self.against.read(results)
        return None if figure is None or against is None else figure / against

    def met(self, ratio: float) -> bool:
        """Says whether a ratio is as it must be."""
        return (self.at_most is None or ratio <= self.at_most) and (
            self.at_least is None or ratio >= self.at_least
        )

    @property
    def limit(self) -> str:
        """The limit, for a reader."""
        return f"at most {self.at_most:g}" if self.at_most else f"at least {self.at_least:g}"


def _cold(peer: str, kind: str = "plain") -> Figure:
    return Figure(peer, "cold", 10_000, 10, kind, "least")


def _endpoint(services: int, kind: str = "plain", peer: str = "core", of: str = "p50") -> Figure:
    return Figure(peer, "endpoint", services, 10, kind, of)


def _flow(services: int) -> Figure:
    return Figure("core", "flow", services, 1, of="least")


TARGETS = (
    Target(
        "plan and commit, 10,000 x 10, against the kernel alone",
        _cold("core"),
        _cold("kernel"),
        at_most=1.5,
    ),
    Target(
        "`nft -f` of kube-proxy's layout, 10,000 x 10, against plan and commit",
        _cold("nft-upstream"),
        _cold("core"),
        at_least=20,
    ),
    Target(
        "`nft -f` of kube-proxy's layout, 2,000 x 10, against plan and commit",
        Figure("nft-upstream", "cold", 2_000, of="least"),
        Figure("core", "cold", 2_000, of="least"),
        at_least=5,
    ),
    Target(
        "one endpoint among 100,000 x 10, p50, against one among 1,000 x 10",
        _endpoint(100_000),
        _endpoint(1_000),
        at_most=1.5,
    ),
    Target(
        "plan and commit, 10,000 mixed x 10, against the kernel alone",
        _cold("core", "mixed"),
        _cold("kernel", "mixed"),
        at_most=3,
    ),
    Target(
        "one endpoint among 10,000 mixed x 10, p50, against one among plain",
        _endpoint(10_000, "mixed"),
        _endpoint(10_000),
        at_most=2,
    ),
    Target("a new flow among 10,000 against one among 10", _flow(10_000), _flow(10), at_most=1.1),
    Target("a new flow among 100,000 against one among 10", _flow(100_000), _flow(10), at_most=1.1),
    Target(
        "`kpx run`, one endpoint among 10,000 x 10, p50, against the core",
        _endpoint(10_000, peer="agent"),
        _endpoint(10_000),
        at_most=71,
    ),
    Target(
        "`kpx run`, one endpoint among 10,000 x 10, p99, against the core's p50",
        _endpoint(10_000, peer="agent", of="p99"),
        _endpoint(10_000),
        at_most=357,
    ),
    Target(
        "`kpx run`, start to everything programmed, 10,000 x 10, against the kernel alone",
        _cold("agent"),
        _cold("kernel"),
        at_most=13.3,
    ),
    Target(
        "`kpx run`, a burst over 5,000 Services of 10,000 x 10, against the kernel alone",
        Figure("agent", "burst", 10_000, of="least"),
        _cold("kernel"),
        at_most=5.3,
    ),
    Target(
        "`kpx run`, 1,000 events a second, 10,000 x 10, behind by p99, against the kernel alone",
        Figure("agent", "steady", 10_000, of="p99"),
        _cold("kernel"),
        at_most=0.53,
    ),
    Target(
        "`kpx run`, 1,000 events a second, 10,000 x 10, CPU time of one, against the core",
        Figure("agent", "steady", 10_000, of="cpu"),
        _endpoint(10_000),
        at_most=17.8,
    ),
    Target(
        "`kpx run`, peak memory, 10,000 x 10, against `nft -f` of kube-proxy's layout",
        Figure("agent", "cold", 10_000, of="peak"),
        Figure("nft-upstream", "cold", 10_000, of="peak"),
        at_most=0.384,
    ),
    Target(
        "`kpx sync -f`, the whole process, 10,000 x 10, against the kernel alone",
        _cold("sync"),
        _cold("kernel"),
        at_most=16,
    ),
)


IPVS_PLANS = ("quick-ipvs", "full-ipvs")
"""The plans whose targets these are."""
IPVS_TARGETS = (
    Target(
        "`ipvsadm -R`, 5,000 x 10, against plan and commit with `--backend ipvs`",
        Figure("ipvsadm", "cold", 5_000, of="least"),
        Figure("ipvs", "cold", 5_000, of="least"),
        at_least=3,
    ),
    Target(
        "with `--backend ipvs`, one endpoint among 5,000 x 10, p50, against one among 100 x 10",
        _endpoint(5_000, peer="ipvs"),
        _endpoint(100, peer="ipvs"),
        at_most=1.5,
    ),
)


@dataclass(frozen=True)
class Verdict:
    """A target and what was measured of it."""

    target: Target
    ratio: float | None

    @property
    def met(self) -> bool:
        """Whether the target is met; not where nothing was measured."""
        return self.ratio is not None and self.target.met(self.ratio)


def verdicts(runs: Iterable[Results]) -> list[Verdict]:
    """Holds each run against every target of its plan."""
    return [
        Verdict(target, target.ratio(results))
        for results in runs
        for target in (IPVS_TARGETS if results.plan in IPVS_PLANS else TARGETS)
    ]
