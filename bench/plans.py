"""Which peers do what at which sizes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from .peers import IPVS_PEERS, PEERS
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


def quick() -> Plan:
    """Returns what ends in a few minutes and holds every target."""
    sizes = [(100, 10), (1_000, 10)]
    specs = [*_all_cases(sizes, list(PEERS), changes=20, restarts=2)]
    for _ in range(5):
        specs += [_cold(peer, 10_000) for peer in ("kernel", "core")]
    for _ in range(3):
        specs += [_cold(peer, 10_000, "mixed") for peer in ("kernel", "core")]
    specs += [_endpoint(services) for services in (1_000, 10_000, 100_000)]
    specs += [_endpoint(10_000, "mixed")]
    specs += [_cold("nft-upstream", 10_000), _cold("sync", 10_000)]
    specs += [Spec("agent", 10_000, 10, counts={"restart": 1, "endpoint": 200, "rolling": 1})]
    specs += [_traffic(peer, 1_000, 1.0) for peer in _changing()]
    return Plan("quick", 45, specs, list(_traced(sizes)), [10, 10_000, 100_000], 5_000)


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
    specs += [_endpoint(services) for services in numbers]
    specs += [_endpoint(10_000, "mixed")]
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


def ipvs() -> Plan:
    """Returns what a kernel with IPVS is needed for; sized for one on an emulated processor."""
    wanted = {"restart": 1, "endpoint": 100, "service": 10, "rolling": 1}
    specs = [
        Spec(peer, services, 10, counts=wanted, budget_seconds=60)
        for services in (100, 1_000, 5_000)
        for peer in IPVS_PEERS
    ]
    return Plan("ipvs", 300, specs)


PLANS = {"quick": quick, "full": full, "compare": compare, "ipvs": ipvs}


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


def _traffic(peer: str, services: int, seconds: float) -> Spec:
    return Spec(peer, services, 10, counts={"traffic": 50}, traffic_seconds=seconds)


def _traced(sizes: list[tuple[int, int]], peers: tuple[str, ...] = tuple(PEERS)) -> Iterator[Spec]:
    wanted = {"restart": 1, "endpoint": 4, "service": 2, "rolling": 1}
    for services, endpoints in sizes:
        for peer in peers:
            counts = {case: n for case, n in wanted.items() if case in PEERS[peer].cases}
            yield Spec(peer, services, endpoints, counts=counts)
