"""The slices of one Service as an API server would keep them, for tests of the reconciler."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from kpx.endpointslices import (
    Endpoint,
    EndpointSlice,
    Node,
    Policy,
    Reconciliation,
    Service,
    SlicePlan,
    reconcile,
    zone_shares,
)
from objects import pod_record, service

Object = dict[str, Any]
Placed = tuple[str, tuple[str, ...], str]
"""An endpoint wherever it is: family, addresses and the name of its Pod."""


def service_with_uid(**spec: Any) -> Object:
    """The Service `web` as an API server knows it."""
    made = service(**spec)
    made["metadata"] |= {"uid": "uid-web", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return made


def placed(slices: Iterable[EndpointSlice]) -> list[Placed]:
    """Every endpoint of some slices, sorted; one that is in two slices comes twice."""
    return sorted(
        (one.address_type, endpoint.addresses, endpoint.pod_name)
        for one in slices
        for endpoint in one.endpoints
    )


@dataclass
class Cluster:
    """Keeps slices; notes what was visible after every write."""

    slices: dict[str, EndpointSlice] = field(default_factory=dict)
    snapshots: list[list[Placed]] = field(default_factory=list)
    _number: int = 0

    def apply(self, plan: SlicePlan) -> None:
        """Carries out a plan write by write."""
        for one in plan.create:
            self._number += 1
            name = f"web-{self._number}"
            self._put(replace(one, name=name, uid=f"uid-{name}", generation=1))
        for one in plan.update:
            old = self.slices[one.name]
            assert one.address_type == old.address_type, "the address type cannot change"
            self._put(replace(one, generation=old.generation + 1))
        for one in plan.delete:
            del self.slices[one.name]
            self.snapshots.append(placed(self.slices.values()))

    def reconcile(
        self,
        service_object: Object,
        pods: Iterable[Object],
        nodes: Iterable[Object] = (),
        **policy: Any,
    ) -> Reconciliation:
        """Reconciles and carries out the plan."""
        known = {item["metadata"]["name"]: Node.from_object(item) for item in nodes}
        found = reconcile(
            Service.from_object(service_object),
            [pod_record(item) for item in pods],
            known or None,
            list(self.slices.values()),
            Policy(**policy),
            shares=zone_shares(known.values()),
        )
        self.apply(found.plan)
        return found

    def endpoints(self) -> list[Endpoint]:
        """Every endpoint of every slice."""
        return [endpoint for one in self.slices.values() for endpoint in one.endpoints]

    def sizes(self) -> list[int]:
        """How many endpoints each slice has, in the order the slices were made."""
        return [len(one.endpoints) for one in self.slices.values()]

    def _put(self, written: EndpointSlice) -> None:
        self.slices[written.name] = written
        self.snapshots.append(placed(self.slices.values()))
