"""A cluster that changes: the same changes for every peer, each following from those before it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from . import cases

Services = dict[int, list[str]]
"""The addresses of the endpoints of some Services, by number."""

_FIRST_NEW_POD_IP = int(IPv4Address("10.64.0.1"))
_NEW_POD_IPS = (1 << 22) - 2
ROLLING_SHARE = 10
"""Of how many Services one is rolled over: a tenth of all endpoints is replaced."""
BURST_SHARE = 2
"""Of how many Services one has an endpoint replaced in a burst."""


@dataclass(frozen=True)
class Change:
    """What is otherwise than before. A Service that is in one of the two alone came or went."""

    before: Services
    after: Services

    def events(self) -> Iterator[bytes]:
        """Yields the lines that a watch of Services and EndpointSlices tells of it."""
        for service, addresses in self.after.items():
            happened = "MODIFIED" if service in self.before else "ADDED"
            if happened == "ADDED":
                yield cases.event(happened, "Service", cases.service_object(service))
            yield cases.event(happened, "EndpointSlice", cases.slice_of(service, addresses))
        for service, addresses in self.before.items():
            if service not in self.after:
                yield cases.event("DELETED", "EndpointSlice", cases.slice_of(service, addresses))
                yield cases.event("DELETED", "Service", cases.service_object(service))


class Cluster:
    """So many Services with so many endpoints each, and what became of them."""

    def __init__(self, services: int, endpoints: int) -> None:
        """Starts as `cases.lists` has them."""
        self.services, self.endpoints = services, endpoints
        self._changed: Services = {}
        self._numbers: dict[str, int] = {}
        self._new_pods = 0
        self._added: int | None = None

    def addresses(self, service: int) -> list[str]:
        """Returns the addresses of the endpoints of a Service."""
        if service in self._changed:
            return self._changed[service]
        ordinals = range(self.endpoints)
        return [cases.endpoint_ip(service, ordinal, self.endpoints) for ordinal in ordinals]

    def all(self) -> Iterator[tuple[int, list[str]]]:
        """Yields every Service with the addresses of its endpoints."""
        for service in range(self.services):
            yield service, self.addresses(service)
        if self._added is not None:
            yield self._added, self.addresses(self._added)

    def makers(self) -> dict[str, Callable[[], Change]]:
        """Returns what makes the changes of each case, in the order in which the cases come."""
        return {
            "endpoint": self.one_endpoint,
            "service": self.one_service,
            "rolling": self.rolling_update,
            "burst": self.burst,
            "steady": self.one_endpoint,
            "traffic": self.one_endpoint,
        }

    def one_endpoint(self) -> Change:
        """Replaces an endpoint of one Service, each Service as often as any other."""
        # A prime far from any size: the Services are spread over all of them.
        service = self._next("endpoint") * 7919 % self.services
        addresses = [self._new_pod(), *self.addresses(service)[1:]]
        return self._change({service: addresses})

    def one_service(self) -> Change:
        """Adds a Service; the next time, removes it."""
        if self._added is not None:
            gone, self._added = self._added, None
            return Change({gone: self._changed.pop(gone)}, {})
        self._added = self.services + self._next("service") % 1000
        self._changed[self._added] = [self._new_pod() for _ in range(self.endpoints)]
        return Change({}, {self._added: self.addresses(self._added)})

    def rolling_update(self) -> Change:
        """Replaces all endpoints of every tenth Service."""
        self._next("rolling")
        rolled = range(0, self.services, ROLLING_SHARE)
        return self._change(
            {service: [self._new_pod() for _ in range(self.endpoints)] for service in rolled}
        )

    def burst(self) -> Change:
        """Replaces an endpoint of every other Service."""
        touched = range(0, self.services, BURST_SHARE)
        return self._change(
            {service: [self._new_pod(), *self.addresses(service)[1:]] for service in touched}
        )

    def _change(self, after: Services) -> Change:
        before = {service: self.addresses(service) for service in after}
        self._changed.update(after)
        return Change(before, after)

    def _next(self, what: str) -> int:
        number = self._numbers.get(what, 0)
        self._numbers[what] = number + 1
        return number

    def _new_pod(self) -> str:
        self._new_pods += 1
        return cases.dotted(_FIRST_NEW_POD_IP + self._new_pods % _NEW_POD_IPS)
