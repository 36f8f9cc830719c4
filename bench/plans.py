"""Which peers do what at which sizes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from .peers import PEERS
from .session import Spec

IN_PROCESS = frozenset({"kernel", "core", "libnftables"})
"""Peers that start no process for a change."""


@dataclass(frozen=True)
class Plan:
    """What a run does."""

    name: str
    bound: float
    """Seconds that one step may take; a step that takes longer did not finish."""
    specs: list[Spec]
    traced: list[Spec] = field(default_factory=list)
    """Sessions in which what is sent is counted, and nothing timed."""
    flows: list[int] = field(default_factory=list)
    """Numbers of Services among which new UDP flows are timed."""
    packets: int = 20_000
    """UDP flows a round."""
    warm_up: list[Spec] = field(default_factory=list)
    """Sessions before all others, of which nothing is kept: the kernel loads what they need."""


def quick() -> Plan:
    """Returns what ends in a few minutes and holds every target."""
    sizes = [(100, 10), (1_000, 10)]
    specs = [*_all_cases(sizes, list(PEERS), changes=20, restarts=1)]
    specs += [_cold(peer, 2_000) for peer in ("kernel", "core", "nft-upstream")]
    for _ in range(5):
        specs += [_cold(peer, 10_000) for peer in ("kernel", "core")]
    for _ in range(2):
        specs += [_cold(peer, 10_000, "mixed") for peer in ("kernel", "core")]
    specs += [_endpoint(services) for services in (1_000, 10_000, 100_000)]
    specs += [_endpoint(10_000, "mixed")]
    specs += [_cold("nft-upstream", 10_000), _cold("sync", 10_000)]
    specs += [_agent(endpoint=200, bursts=1, steady=5_000)]
    specs += [_traffic(peer, 1_000, 1.0) for peer in _changing()]
    # What `iptables-nft` sends takes longer to write down than all else.
    cheap = tuple(peer for peer in PEERS if peer != "iptables-nft")
    traced = [*_traced(sizes[:1]), *_traced(sizes[1:], cheap)]
    return Plan("quick", 45, specs, traced, [10, 10_000, 100_000], 5_000)


def full() -> Plan:
    """Returns everything, up to a million endpoints: Kubernetes itself allows 150,000 Pods."""
    numbers, endpoints = (100, 1_000, 10_000, 100_000), (1, 10, 100)
    sizes = [
        (services, each)
        for services in numbers
        for each in endpoints
        if services * each <= 1_000_000
    ]
    specs = [*_all_cases(sizes, list(PEERS), changes=50, restarts=1)]
    for _ in range(5):
        specs += [_cold(peer, 10_000) for peer in ("kernel", "core")]
        specs += [_cold(peer, 10_000, "mixed") for peer in ("kernel", "core")]
    specs += [_cold(peer, 2_000) for peer in ("kernel", "core", "nft-upstream")]
    specs += [_endpoint(services) for services in numbers]
    specs += [_endpoint(10_000, "mixed")]
    specs += [_agent(endpoint=500, bursts=3, steady=60_000)]
    specs += [_traffic(peer, services, 3.0) for services in (1_000, 10_000) for peer in _changing()]
    traced = list(_traced([(services, 10) for services in numbers[:-1]]))
    return Plan("full", 45, specs, traced, [10, 1_000, 10_000, 100_000])


def compare() -> Plan:
    """Returns what two versions of kpx are compared by: short, and all in kpx's hands."""
    peers = ("kernel", "core", "agent")
    specs = [*_all_cases([(1_000, 10)], list(peers), changes=200, restarts=3)]
    for _ in range(3):
        specs += [_cold(peer, 10_000) for peer in ("kernel", "core", "sync")]
    specs += [_endpoint(10_000)]
    return Plan("compare", 60, specs, list(_traced([(1_000, 10)], peers)))


def quick_ipvs() -> Plan:
    """Returns what holds the targets of IPVS within a minute, on an emulated processor."""
    specs = [
        *_ipvs([100], endpoint=300, commands=10),
        Spec("ipvs", 5_000, 10, counts={"endpoint": 300}),
        Spec("ipvsadm", 5_000, 10),
    ]
    return Plan("quick-ipvs", 45, specs, warm_up=_ipvs_warm_up())


def full_ipvs() -> Plan:
    """Returns everything that a kernel with IPVS is needed for."""
    sizes = [100, 1_000, 5_000]
    # To trace a load of 5,000 takes minutes there.
    traced = [Spec("ipvs", services, 10, counts={"endpoint": 4}) for services in sizes[:2]]
    return Plan(
        "full-ipvs", 300, _ipvs(sizes, endpoint=500, commands=50), traced, warm_up=_ipvs_warm_up()
    )


PLANS = {
    "quick": quick,
    "full": full,
    "compare": compare,
    "quick-ipvs": quick_ipvs,
    "full-ipvs": full_ipvs,
}


def _ipvs(sizes: list[int], endpoint: int, commands: int) -> list[Spec]:
    """Returns all cases; of `ipvsadm` so many commands for one endpoint."""
    counts = {"restart": 1, "endpoint": endpoint, "service": 10, "rolling": 1}
    return [
        Spec(peer, services, 10, counts=counts | changes, budget_seconds=60)
        for services in sizes
        for peer, changes in (("ipvs", {}), ("ipvsadm", {"endpoint": commands}))
    ]


def _ipvs_warm_up() -> list[Spec]:
    return [Spec("ipvs", 1, 1, counts={"restart": 1, "endpoint": 1})]


def _changing() -> list[str]:
    return [name for name, peer in PEERS.items() if "traffic" in peer.cases]


def _all_cases(
    sizes: list[tuple[int, int]], peers: list[str], *, changes: int, restarts: int
) -> Iterator[Spec]:
    for services, endpoints in sizes:
        for peer in peers:
            wanted = {
                "restart": restarts,
                "endpoint": changes * 10 if peer in IN_PROCESS else changes,
                "service": changes,
                "rolling": 3,
            }
            counts = {case: n for case, n in wanted.items() if case in PEERS[peer].cases}
            yield Spec(peer, services, endpoints, counts=counts)


def _cold(peer: str, services: int, kind: str = "plain") -> Spec:
    return Spec(peer, services, 10, kind)


def _endpoint(services: int, kind: str = "plain") -> Spec:
    return Spec("core", services, 10, kind, {"endpoint": 2_000})


def _agent(endpoint: int, bursts: int, steady: int) -> Spec:
    """Returns what the targets of `kpx run` need."""
    counts = {"restart": 1, "endpoint": endpoint, "rolling": 1, "burst": bursts, "steady": steady}
    return Spec("agent", 10_000, 10, counts=counts)


def _traffic(peer: str, services: int, seconds: float) -> Spec:
    return Spec(peer, services, 10, counts={"traffic": 50}, traffic_seconds=seconds)


def _traced(sizes: list[tuple[int, int]], peers: tuple[str, ...] = tuple(PEERS)) -> Iterator[Spec]:
    wanted = {"restart": 1, "endpoint": 4, "service": 2, "rolling": 1}
    for services, endpoints in sizes:
        for peer in peers:
            counts = {case: n for case, n in wanted.items() if case in PEERS[peer].cases}
            yield Spec(peer, services, endpoints, counts=counts)
