"""Random histories of Services, as the events that a watch would bring."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from ..cluster import Cluster
from ..manifest import Object, Service, manifest
from .virtual_servers import SCHEDULER

Event = tuple[str, Object]
"""What happened, as a watch says it, and the object."""

SPECS: tuple[dict[str, Any], ...] = (
    {},
    {"externalTrafficPolicy": "Local"},
    {"internalTrafficPolicy": "Local"},
    {
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 600}},
    },
)
SCHEDULERS = ("wrr", "lc", "wlc", "sed", "nq", "dh", "fo", "ovf")
NUMBERS = range(40, 50)
"""The numbers of the Services."""
MOST_PODS = 6


@dataclass
class History:
    """What happened so far."""

    cluster: Cluster
    random: Random
    services: dict[str, Service] = field(default_factory=dict)
    """What there is now."""

    def begin(self) -> Iterator[Event]:
        """Yields what is there before any Service: the node and the networks of Services."""
        for item in json.loads(manifest(self.cluster, {}))["items"]:
            yield "ADDED", item

    def go_on(self) -> Iterator[Event]:
        """Changes something, and yields the events of it."""
        number = self.random.choice(NUMBERS)
        name = f"service-{number}"
        before = self.services.get(name)
        if before is None:
            after = self.configured(Service(name, number, self.some_pods(), {}))
        elif self.random.random() < 0.15:
            del self.services[name]
            for item in before.objects(self.cluster.pods):
                yield "DELETED", item
            return
        elif self.random.random() < 0.3:
            after = self.configured(before)
        else:
            after = replace(before, pods=self.some_pods())
        self.services[name] = after
        kind = "MODIFIED" if before else "ADDED"
        objects = after.objects(self.cluster.pods)
        # Events of one Service come in any order.
        self.random.shuffle(objects)
        for item in objects:
            yield kind, item

    def everything(self) -> Iterator[Event]:
        """Yields the events that tell of all there is now, as a list does."""
        yield from self.begin()
        for service in self.services.values():
            for item in service.objects(self.cluster.pods):
                yield "ADDED", item

    def some_pods(self) -> tuple[str, ...]:
        """Returns any pods, sometimes none."""
        count = self.random.randint(0, MOST_PODS)
        return tuple(sorted(self.random.sample(sorted(self.cluster.pods), count)))

    def configured(self, service: Service) -> Service:
        """Returns a Service with any spec and any scheduler."""
        chosen = self.random.random() < 0.3
        annotations = {SCHEDULER: self.random.choice(SCHEDULERS)} if chosen else {}
        return replace(service, spec=self.random.choice(SPECS), annotations=annotations)
