"""The slices of one label: what is there, what we wrote ourselves, and writes."""

import json
import logging
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Final

from kpx.controller.cache import Cache, Key
from kpx.controller.upkeep import CacheBehind, SyncFailed
from kpx.endpointslices import EndpointSlice, ExpectationTracker, SlicePlan
from kpx.kube import Client, Forbidden, NotFound
from kpx.kube.resources import ENDPOINT_SLICES

__all__ = ["OwnedSlices"]

SLICE_DELAY_SECONDS: Final = 1.0
"""How long after somebody changed a slice it is put right, as upstream."""

_GONE_REMEMBERED: Final = 256

_log = logging.getLogger(__name__)


class OwnedSlices:
    """Keeps apart what somebody did to our slices and the echo of what we did."""

    def __init__(
        self, lock: threading.RLock, add: Callable[[Key, float], None], batch_period: float
    ) -> None:
        """Knows of no slice yet.

        Args:
            lock: Held while anything changes.
            add: Told which Service is to be looked at, and after how many seconds.
            batch_period: Seconds for which changes are gathered.
        """
        self.cache = Cache(EndpointSlice.from_object, self._changed, lock)
        self._lock = lock
        self._add = add
        self._delay = max(SLICE_DELAY_SECONDS, batch_period)
        self._of_service: dict[Key, dict[Key, EndpointSlice]] = defaultdict(dict)
        self._tracker = ExpectationTracker()
        self._behind: set[Key] = set()
        """Services that wait for the cache to show our writes."""
        self._gone: deque[str] = deque(maxlen=_GONE_REMEMBERED)

    @property
    def services(self) -> list[Key]:
        """The Services that have slices."""
        return list(self._of_service)

    def of(self, service: Key) -> list[EndpointSlice]:
        """The slices of a Service that are not on their way out.

        Raises:
            CacheBehind: The cache does not show our own writes yet.
        """
        present = [one for one in self._of_service.get(service, {}).values() if not one.is_deleted]
        if self._tracker.is_stale(service, present):
            self._behind.add(service)
            raise CacheBehind("the cache does not show our last writes yet")
        return present

    def expect_nothing(self) -> None:
        """Forgets what we wrote: another leader has written since."""
        self._tracker = ExpectationTracker()

    def forget(self, service: Key) -> None:
        """Forgets a Service that is gone."""
        self._tracker.forget(service)

    def write(
        self, client: Client, service: Key, plan: SlicePlan, is_lost: Callable[[], bool]
    ) -> None:
        """Carries out a plan, write by write.

        Raises:
            SyncFailed: Another leads now.
            KpxError: The API server refused a write or cannot be reached.
        """
        namespace, _ = service
        for operation, one in _operations(plan):
            if is_lost():
                raise SyncFailed("another leads")
            try:
                if operation == "create":
                    made = client.create(
                        ENDPOINT_SLICES, namespace, f"{one.service_name}-", one.to_object()
                    )
                    self._wrote(service, made)
                elif operation == "update":
                    made = client.update(ENDPOINT_SLICES, namespace, one.name, one.to_object())
                    self._wrote(service, made)
                else:
                    self._delete(client, service, one)
            except Forbidden as refusal:
                if operation == "create" and refusal.is_namespace_terminating:
                    _log.info("namespace `%s` goes, and its slices with it", namespace)
                    return
                raise

    def _delete(self, client: Client, service: Key, one: EndpointSlice) -> None:
        # Not one of the same name that somebody made meanwhile.
        options = {"preconditions": {"uid": one.uid}} if one.uid else b""
        try:
            client.delete(ENDPOINT_SLICES, one.namespace, one.name, options)
        except NotFound:
            return
        with self._lock:
            if (one.namespace, one.name) in self.cache.objects:
                self._tracker.deleted(service, one)

    def _wrote(self, service: Key, made: bytes) -> None:
        with self._lock:
            written = EndpointSlice.from_object(json.loads(made))
            # A watch may show that it is gone before we hear that it was made.
            if written.uid not in self._gone:
                self._tracker.wrote(service, written)

    def _changed(self, key: Key, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        if old is not None:
            owner = (old.namespace, old.service_name)
            self._of_service[owner].pop(key, None)
            if not self._of_service[owner]:
                del self._of_service[owner]
            gone = new is None or new.uid != old.uid
            if gone:
                self._gone.append(old.uid)
            is_expected = self._tracker.saw_deletion(owner, old) if gone else True
            if not is_expected or (new is not None and new.service_name != old.service_name):
                self._add(owner, self._delay)
        if new is not None:
            owner = (new.namespace, new.service_name)
            self._of_service[owner][key] = new
            if self._tracker.is_news(owner, new):
                self._add(owner, self._delay)
        for owner in {(one.namespace, one.service_name) for one in (old, new) if one is not None}:
            if owner in self._behind:
                self._behind.discard(owner)
                self._add(owner, 0.0)


def _operations(plan: SlicePlan) -> Iterator[tuple[str, EndpointSlice]]:
    yield from (("create", one) for one in plan.create)
    yield from (("update", one) for one in plan.update)
    yield from (("delete", one) for one in plan.delete)
