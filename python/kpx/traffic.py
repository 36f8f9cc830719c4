"""Connections per second, from what the kernel's counters say between two readings."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from kpx.errors import CountFailed

__all__ = ["EndpointRate", "Meter", "Order", "Rates", "ServiceRate", "rates"]

_HINT = "program the node with `--counters`, such as `kpx run --counters`"


class Order(str, Enum):
    """What Services are sorted by; ties by name."""

    CONNECTIONS = "connections"
    REFUSED = "refused"
    NAME = "name"


class Meter(Protocol):
    """What reads counters; `kpx._core.TrafficMeter` is one, and describes the JSON."""

    def read(self) -> str:
        """What was counted since the last reading."""


@dataclass(frozen=True)
class EndpointRate:
    """How much one endpoint of a Service got."""

    endpoint: str
    """`address:port`."""
    connections: int
    """Since the last reading."""
    per_second: float


@dataclass(frozen=True)
class ServiceRate:
    """How much one Service got."""

    service: str
    """`namespace/name`."""
    connections: int
    """Since the last reading; of UDP, flows."""
    per_second: float
    refused_per_second: float
    """Packets that found no endpoint."""
    endpoints: tuple[EndpointRate, ...]
    """The busiest first."""


@dataclass(frozen=True)
class Rates:
    """What all Services got between two readings."""

    seconds: float
    """The time between them."""
    services: tuple[ServiceRate, ...]
    """By name."""
    silent: int
    """How many elements do not count, though others do."""

    def sorted(self, order: Order) -> list[ServiceRate]:
        """The Services in an order."""
        match order:
            case Order.CONNECTIONS:
                return sorted(self.services, key=lambda one: (-one.per_second, one.service))
            case Order.REFUSED:
                return sorted(self.services, key=lambda one: (-one.refused_per_second, one.service))
            case Order.NAME:
                return sorted(self.services, key=lambda one: one.service)


def rates(
    meter: Meter,
    interval: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Rates]:
    """Reads without end, every `interval` seconds; the first rates come after one interval.

    Raises:
        CountFailed: Nothing counts.
        ObserveFailed: The kernel cannot be read.
    """
    _read(meter)
    before = clock()
    while True:
        sleep(interval)
        traffic = _read(meter)
        now = clock()
        yield _rates(traffic, max(now - before, 1e-9))
        before = now


def _read(meter: Meter) -> dict[str, Any]:
    traffic: dict[str, Any] = json.loads(meter.read())
    if not traffic["counting"]:
        if traffic["silent"]:
            raise CountFailed("what is programmed does not count connections", _HINT)
        raise CountFailed("nothing is programmed on this node", _HINT)
    return traffic


def _rates(traffic: dict[str, Any], seconds: float) -> Rates:
    services = tuple(
        ServiceRate(
            name,
            service["connections"],
            service["connections"] / seconds,
            service["refused"] / seconds,
            _endpoints(service["endpoints"], seconds),
        )
        for name, service in traffic["services"].items()
    )
    return Rates(seconds, services, traffic["silent"])


def _endpoints(counts: dict[str, int], seconds: float) -> tuple[EndpointRate, ...]:
    busiest = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return tuple(EndpointRate(name, count, count / seconds) for name, count in busiest)
