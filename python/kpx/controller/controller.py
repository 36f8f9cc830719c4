"""What has to be looked at when something changes, and the writes for one Service."""

import json
import logging
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Final

from kpx.controller.cache import Cache, Key
from kpx.controller.metrics import Metrics
from kpx.controller.work_queue import WorkQueue
from kpx.endpointslices import (
    EndpointSlice,
    ExpectationTracker,
    Node,
    Pod,
    PodIndex,
    Policy,
    Service,
    ServiceIndex,
    SlicePlan,
    TriggerTimeTracker,
    reconcile,
)
from kpx.errors import KpxError
from kpx.kube import Client, Forbidden, NotFound
from kpx.kube.resources import ENDPOINT_SLICES

__all__ = ["Controller", "SyncFailed"]

SLICE_DELAY_SECONDS: Final = 1.0
"""How long after somebody changed a slice it is put right, as upstream."""

_GONE_REMEMBERED: Final = 256

_log = logging.getLogger(__name__)


class SyncFailed(KpxError):
    """The slices of a Service could not be made right yet; it is tried again."""


class Controller:
    """Knows the cluster, and makes the slices of Services right while it leads."""

    def __init__(self, policy: Policy, *, batch_period: float = 0.0) -> None:
        """Knows nothing yet.

        Args:
            policy: How slices are made.
            batch_period: Seconds for which changes of Pods are gathered.
        """
        self._policy = policy
        self._batch_period = batch_period
        self._lock = threading.RLock()
        self.services = Cache(Service.from_object, self._service_changed, self._lock)
        self.pods = Cache(Pod.from_object, self._pod_changed, self._lock)
        self.nodes = Cache(Node.from_object, self._node_changed, self._lock)
        self.slices = Cache(EndpointSlice.from_object, self._slice_changed, self._lock)
        self.metrics = Metrics()
        self._pod_index = PodIndex()
        self._service_index = ServiceIndex()
        self._slices_of: dict[Key, dict[Key, EndpointSlice]] = defaultdict(dict)
        self._pods_on: dict[str, set[Key]] = defaultdict(set)
        self._queue: WorkQueue[Key] | None = None
        self._tracker = ExpectationTracker()
        self._trigger_times = TriggerTimeTracker()
        self._behind: set[Key] = set()
        """Services that wait for the cache to show our writes."""
        self._gone: deque[str] = deque(maxlen=_GONE_REMEMBERED)

    def lead(self, client: Client, lost: threading.Event, workers: int) -> None:
        """Makes every Service right, and keeps it so until `lost` is set; then writes no more.

        Args:
            client: What writes.
            lost: Set when another may lead.
            workers: How many Services are worked on at once.
        """
        queue: WorkQueue[Key] = WorkQueue()
        with self._lock:
            # Whatever an earlier term expected, another leader has written since.
            self._tracker, self._trigger_times = ExpectationTracker(), TriggerTimeTracker()
            self._queue = queue
            for key in self.services.objects:
                queue.add(key)
        threads = [
            threading.Thread(target=self._work, args=(client, queue, lost), name=f"worker-{number}")
            for number in range(workers)
        ]
        for thread in threads:
            thread.start()
        lost.wait()
        with self._lock:
            self._queue = None
        queue.shut()
        for thread in threads:
            thread.join()

    def _work(self, client: Client, queue: WorkQueue[Key], lost: threading.Event) -> None:
        while (key := queue.get()) is not None:
            try:
                self.sync(client, key, lost.is_set)
            except KpxError as failure:
                queue.done(key, failed=True)
                _log.warning("service `%s/%s`: %s; it is tried again", *key, failure)
            except Exception:
                queue.done(key, failed=True)
                _log.exception("service `%s/%s`: it is tried again", *key)
            else:
                queue.done(key)

    def sync(self, client: Client, key: Key, is_lost: Callable[[], bool]) -> None:
        """Makes the slices of one Service right.

        Raises:
            SyncFailed: The cache is behind our own writes, or a Pod's Node is not known yet.
            KpxError: The API server refused a write or cannot be reached.
        """
        with self._lock:
            service = self.services.objects.get(key)
            existing = list(self._slices_of.get(key, {}).values())
            if service is None:
                # The slices go with their owner.
                self._tracker.forget(key)
                self._trigger_times.forget(key)
                return
            present = [one for one in existing if not one.is_deleted]
            if self._tracker.is_stale(key, present):
                self.metrics.stale()
                self._behind.add(key)
                raise SyncFailed("the cache does not show our last writes yet")
            pods = self._pod_index.select(service)
            nodes = {pod.node_name: self.nodes.objects.get(("", pod.node_name)) for pod in pods}
            known = {name: node for name, node in nodes.items() if node is not None}
            trigger_time = self._trigger_times.compute(service, pods, present)
        found = reconcile(service, pods, known, present, self._policy, trigger_time)
        try:
            self._write(client, key, found.plan, is_lost)
            if found.without_node:
                names = ", ".join(f"`{pod.name}`" for pod in found.without_node[:3])
                raise SyncFailed(f"the nodes of {names} are not known")
        except KpxError:
            self.metrics.failed()
            raise
        self.metrics.succeeded(found.plan)

    def _write(
        self, client: Client, key: Key, plan: SlicePlan, is_lost: Callable[[], bool]
    ) -> None:
        namespace, _ = key
        for operation, one in _operations(plan):
            if is_lost():
                raise SyncFailed("another leads")
            try:
                if operation == "create":
                    made = client.create(
                        ENDPOINT_SLICES, namespace, f"{one.service_name}-", one.to_object()
                    )
                    self._wrote(key, made)
                elif operation == "update":
                    made = client.update(ENDPOINT_SLICES, namespace, one.name, one.to_object())
                    self._wrote(key, made)
                else:
                    self._delete(client, key, one)
            except Forbidden as refusal:
                if operation == "create" and "terminat" in refusal.message:
                    _log.info("namespace `%s` goes, and its slices with it", namespace)
                    return
                raise

    def _delete(self, client: Client, key: Key, one: EndpointSlice) -> None:
        # Not one of the same name that somebody made meanwhile.
        options = {"preconditions": {"uid": one.uid}} if one.uid else b""
        try:
            client.delete(ENDPOINT_SLICES, one.namespace, one.name, options)
        except NotFound:
            return
        with self._lock:
            if (one.namespace, one.name) in self.slices.objects:
                self._tracker.deleted(key, one)

    def _wrote(self, key: Key, made: bytes) -> None:
        with self._lock:
            written = EndpointSlice.from_object(json.loads(made))
            # A watch may show that it is gone before we hear that it was made.
            if written.uid not in self._gone:
                self._tracker.wrote(key, written)

    # What a change means. All of these are called with the lock held.

    def _add(self, key: Key, delay: float = 0.0) -> None:
        if self._queue is not None:
            self._queue.add(key, delay)

    def _service_changed(self, key: Key, old: Service | None, new: Service | None) -> None:
        if old is not None:
            self._service_index.remove(old)
        if new is not None:
            self._service_index.put(new)
        self._add(key)

    def _pod_changed(self, key: Key, old: Pod | None, new: Pod | None) -> None:
        services = set()
        if old is not None:
            self._pods_on[old.node_name].discard(key)
            if not self._pods_on[old.node_name]:
                del self._pods_on[old.node_name]
            self._pod_index.remove(old)
            services |= self._service_index.select(old)
        if new is not None:
            self._pod_index.put(new)
            self._pods_on[new.node_name].add(key)
            services |= self._service_index.select(new)
        for service in services:
            self._add(service, self._batch_period)

    def _node_changed(self, key: Key, old: Node | None, new: Node | None) -> None:
        # Upstream lets a zone that comes late wait for the next change of each Service.
        for pod in self._pods_on.get(key[1], ()):
            for service in self._service_index.select(self.pods.objects[pod]):
                self._add(service, self._batch_period)

    def _slice_changed(
        self, key: Key, old: EndpointSlice | None, new: EndpointSlice | None
    ) -> None:
        delay = max(SLICE_DELAY_SECONDS, self._batch_period)
        if old is not None:
            owner = (old.namespace, old.service_name)
            self._slices_of[owner].pop(key, None)
            gone = new is None or new.uid != old.uid
            if gone:
                self._gone.append(old.uid)
            is_expected = self._tracker.saw_deletion(owner, old) if gone else True
            if not is_expected or (new is not None and new.service_name != old.service_name):
                self._add(owner, delay)
        if new is not None:
            owner = (new.namespace, new.service_name)
            self._slices_of[owner][key] = new
            if self._tracker.is_news(owner, new):
                self._add(owner, delay)
        for owner in {(one.namespace, one.service_name) for one in (old, new) if one is not None}:
            if owner in self._behind:
                self._behind.discard(owner)
                self._add(owner)


def _operations(plan: SlicePlan) -> Iterator[tuple[str, EndpointSlice]]:
    yield from (("create", one) for one in plan.create)
    yield from (("update", one) for one in plan.update)
    yield from (("delete", one) for one in plan.delete)
