"""The caches and what keeps each kind right, and which of them a change concerns."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from kpx.controller.cache import Key
from kpx.controller.legacy_endpoints import LegacyEndpoints
from kpx.controller.metrics import UpkeepMetrics
from kpx.controller.mirrored_slices import MirroredSlices
from kpx.controller.pod_slices import PodSlices
from kpx.controller.reporter import Reporter
from kpx.controller.state import ClusterState, Touch
from kpx.controller.upkeep import Absence, Upkeep
from kpx.endpointslices import Policy
from kpx.kube import Client, EventRecorder, NotFound
from kpx.kube.resources import SERVICES

__all__ = ["Controller", "Scope"]


@dataclass(frozen=True)
class Scope:
    """What is kept, of which Services, and how."""

    policy: Policy = field(default_factory=Policy)
    service_selector: str = ""
    """Only Services whose labels match; all if empty."""
    with_endpoints: bool = False
    """Whether Services with a selector get Endpoints beside their slices."""
    batch_period: float = 0.0
    """Seconds for which changes of Pods are gathered."""
    resync_period: float = 12 * 3600.0
    """Seconds after which everything is looked at again; the default is upstream's."""


class Controller:
    """Knows the cluster, and makes what Services have right while it leads."""

    def __init__(self, scope: Scope, recorder: EventRecorder | None = None) -> None:
        """Knows nothing yet.

        Args:
            scope: What is kept.
            recorder: What writes Events.
        """
        self._scope = scope
        self.metrics = metrics = UpkeepMetrics()
        self.state = state = ClusterState(self._touched)
        about_services, about_endpoints = (
            Reporter(recorder, kind) for kind in ("Service", "Endpoints")
        )
        self.pod_slices = PodSlices(
            state,
            scope.policy,
            scope.batch_period,
            metrics.slices,
            metrics.queue(PodSlices.name),
            about_services,
            self._absence,
        )
        self.mirrored_slices = MirroredSlices(
            state,
            scope.policy.managed_by,
            scope.batch_period,
            metrics.mirrored,
            metrics.queue(MirroredSlices.name),
            about_endpoints,
            self._absence,
        )
        self.legacy_endpoints = (
            LegacyEndpoints(
                state, metrics.queue(LegacyEndpoints.name), about_endpoints, self._absence
            )
            if scope.with_endpoints
            else None
        )

    @property
    def upkeeps(self) -> list[Upkeep]:
        """All that is kept right."""
        found: list[Upkeep | None] = [self.pod_slices, self.mirrored_slices, self.legacy_endpoints]
        return [one for one in found if one is not None]

    def lead(self, client: Client, lost: threading.Event, workers: int) -> None:
        """Makes everything right, and keeps it so until `lost` is set; then writes no more.

        Args:
            client: What writes.
            lost: Set when another may lead.
            workers: How many Services are worked on at once, for each kind.
        """
        with self.state.lock:
            queues = [(one, one.begin()) for one in self.upkeeps]
        threads = [
            threading.Thread(
                target=one.work, args=(client, queue, lost), name=f"{one.name}-{number}"
            )
            for one, queue in queues
            for number in range(workers)
        ]
        for thread in threads:
            thread.start()
        while not lost.wait(self._scope.resync_period):
            self._look_at_everything()
        with self.state.lock:
            for one in self.upkeeps:
                one.end()
        for thread in threads:
            thread.join()

    def _look_at_everything(self) -> None:
        with self.state.lock:
            for key in self.state.services.objects:
                self._touched(Touch.SERVICE, (key,))

    def _touched(self, what: Touch, services: Iterable[Key]) -> None:
        for key in services:
            match what:
                case Touch.SERVICE:
                    for one in self.upkeeps:
                        one.add(key)
                case Touch.PODS:
                    self.pod_slices.add(key, self._scope.batch_period)
                    if self.legacy_endpoints is not None:
                        self.legacy_endpoints.add(key, self._scope.batch_period)
                case Touch.NODES:
                    self.pod_slices.add(key, self._scope.batch_period)
                case Touch.ENDPOINTS:
                    self.mirrored_slices.add(key)
                    if self.legacy_endpoints is not None:
                        self.legacy_endpoints.endpoints_changed(key)

    def _absence(self, client: Client, key: Key) -> Absence:
        """Why a Service is not among those that are known."""
        with self.state.lock:
            if key in self.state.services.invalid:
                return Absence.UNREADABLE
        if not self._scope.service_selector:
            return Absence.GONE
        namespace, name = key
        try:
            client.get(SERVICES, namespace, name)
        except NotFound:
            return Absence.GONE
        return Absence.NOT_CHOSEN
