"""Keeps the Endpoints of Services with a selector, for clients that read no slices yet."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from kpx.controller.cache import Key
from kpx.controller.kept_endpoints import KeptEndpoints
from kpx.controller.metrics import QueueMetrics
from kpx.controller.reporter import Reporter
from kpx.controller.state import ClusterState
from kpx.controller.upkeep import Absence, Absences, CacheBehind, SyncFailed, Upkeep
from kpx.endpointslices import (
    OVER_CAPACITY_ANNOTATION,
    TRIGGER_TIME_ANNOTATION,
    Service,
    TriggerTimeTracker,
    VersionTracker,
    is_for_leader_election,
    is_from_pods,
    is_published,
    is_up_to_date,
    legacy_endpoints,
)
from kpx.errors import KpxError
from kpx.kube import Client, Forbidden, NotFound
from kpx.kube.resources import ENDPOINTS

__all__ = ["LegacyEndpoints"]


class LegacyEndpoints(Upkeep):
    """As upstream's Endpoints controller."""

    name = "endpoint"
    first_retry = 0.005
    longest_retry = 1000.0

    def __init__(
        self,
        state: ClusterState,
        queue_metrics: QueueMetrics,
        reporter: Reporter,
        absence: Absences,
    ) -> None:
        """Writes nothing yet.

        Args:
            state: What there is.
            queue_metrics: What counts how the queue is doing.
            reporter: Tells of what happens.
            absence: Finds out why a Service is not known.
        """
        super().__init__(queue_metrics)
        self._state = state
        self._reporter = reporter
        self._absence = absence
        self._versions = VersionTracker()
        self._trigger_times = TriggerTimeTracker()

    def begin_term(self) -> Iterable[Key]:
        """Everything is looked at, and Endpoints that a Service has left behind."""
        self._versions, self._trigger_times = VersionTracker(), TriggerTimeTracker()
        return {*self._state.services.objects, *self._state.endpoints.objects}

    def endpoints_changed(self, key: Key) -> None:
        """Notes that the cache shows another version of Endpoints; called with it locked."""
        self._versions.seen(key)
        self.add(key)

    def sync(self, client: Client, key: Key, is_lost: Callable[[], bool]) -> None:
        """Makes the Endpoints of one Service right.

        Raises:
            SyncFailed: The cache is behind our own writes.
            KpxError: The API server refused a write or cannot be reached.
        """
        with self._state.lock:
            service = self._state.services.objects.get(key)
            current = self._state.endpoints.objects.get(key)
            if self._versions.is_stale(key, current.resource_version if current else ""):
                raise CacheBehind("the cache does not show our last write yet")
            if service is not None and is_published(service):
                pods = self._state.pods_of(service)
                carried = [current.annotations.get(TRIGGER_TIME_ANNOTATION, "")] if current else []
                trigger_time = self._trigger_times.compute(service, pods, carried)
            else:
                self._trigger_times.forget(key)
        if service is None or not is_published(service):
            if current is not None and self._is_left_behind(client, key, service, current):
                self._delete(client, key, current, is_lost)
            return
        desired = legacy_endpoints(service, pods)
        shown = current.to_object() if current is not None else None
        if shown is None or not is_up_to_date(shown, desired):
            metadata = desired["metadata"]
            annotations = _annotations(shown, metadata.get("annotations", {}), trigger_time)
            if annotations:
                metadata["annotations"] = annotations
            else:
                metadata.pop("annotations", None)
            self._write(client, key, desired, current, is_lost)
        with self._state.lock:
            self._trigger_times.written(key)

    def _is_left_behind(
        self, client: Client, key: Key, service: Service | None, current: KeptEndpoints
    ) -> bool:
        """Whether Endpoints have lost what they were made for.

        Those of a Service that is gone, whoever made them (`checkLeftoverEndpoints` upstream), and,
        which upstream leaves, those we made for one that no longer selects Pods.
        """
        if is_for_leader_election(current.annotations):
            return False
        if service is not None:
            return is_from_pods(current.to_object())
        return self._absence(client, key) is Absence.GONE

    def _write(
        self,
        client: Client,
        key: Key,
        desired: dict[str, Any],
        current: KeptEndpoints | None,
        is_lost: Callable[[], bool],
    ) -> None:
        namespace, name = key
        before = current.resource_version if current is not None else ""
        if before:
            desired["metadata"]["resourceVersion"] = before

        def write() -> str | None:
            try:
                if current is None:
                    return _version(client.create(ENDPOINTS, namespace, name, desired))
                return _version(client.update(ENDPOINTS, namespace, name, desired))
            except Forbidden as refusal:
                if refusal.is_namespace_terminating:
                    return None
                raise

        try:
            self._tracked(key, before, write, is_lost)
        except KpxError as failure:
            if not is_lost():
                uid = current.uid if current is not None else ""
                act = "Create" if current is None else "Update"
                self._reporter.warn(key, uid, f"FailedTo{act}Endpoint", str(failure))
            raise

    def _delete(
        self, client: Client, key: Key, current: KeptEndpoints, is_lost: Callable[[], bool]
    ) -> None:
        namespace, name = key
        # Not what somebody made or changed meanwhile.
        conditions = {"uid": current.uid, "resourceVersion": current.resource_version}

        def write() -> str | None:
            try:
                client.delete(ENDPOINTS, namespace, name, {"preconditions": conditions})
            except NotFound:
                return None
            return ""

        self._tracked(key, current.resource_version, write, is_lost)

    def _tracked(
        self, key: Key, before: str, write: Callable[[], str | None], is_lost: Callable[[], bool]
    ) -> None:
        if is_lost():
            raise SyncFailed("another leads")
        with self._state.lock:
            self._versions.begins(key)
        after = None
        try:
            after = write()
        finally:
            with self._state.lock:
                self._versions.ended(key, before, after)


def _annotations(
    shown: dict[str, Any] | None, computed: dict[str, str], trigger_time: str
) -> dict[str, str]:
    """The annotations there are, with the two that the controller sets or takes away."""
    kept = dict(shown["metadata"]["annotations"]) if shown is not None else {}
    for name in (OVER_CAPACITY_ANNOTATION, TRIGGER_TIME_ANNOTATION):
        kept.pop(name, None)
    if trigger_time:
        kept[TRIGGER_TIME_ANNOTATION] = trigger_time
    return {**kept, **computed}


def _version(written: bytes) -> str:
    return str(json.loads(written)["metadata"]["resourceVersion"])
