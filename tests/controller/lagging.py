"""An API server whose watches lag as long as a test likes, and a controller that may be killed."""

import json
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from kpx.controller import Controller, Scope, WorkQueue
from kpx.controller.cache import Key
from kpx.controller.upkeep import Upkeep
from kpx.endpointslices import EndpointSlice, Policy, named, reconcile
from kpx.errors import KpxError
from kpx.kube import Client
from kpx.kube.refusal import refusal
from kpx.kube.resources import ENDPOINT_SLICES, ENDPOINTS, NODES, PODS, SERVICES, Resource

Object = dict[str, Any]

MAX_ENDPOINTS = 3
WATCHED = (SERVICES, NODES, PODS, ENDPOINTS, ENDPOINT_SLICES)
SENTINEL = ("", "sentinel")


class Killed(BaseException):
    """The process is gone, in the middle of whatever it did."""


class Store(Client):
    """Keeps objects with versions, and refuses writes that are based on an old one."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[Key, Object]] = {one.name: {} for one in WATCHED}
        self.unseen: dict[str, deque[bytes]] = {one.name: deque() for one in WATCHED}
        self.version = 100
        self.writes = 0
        self.wrote: Callable[[], None] = lambda: None
        """Called after each write of the controller."""
        self.kill_at: int | None = None
        """With which of its next writes the controller is killed..."""
        self.kill_after = False
        """...after the write was done, rather than before."""

    def put(self, resource: Resource, given: Object) -> Object:
        metadata = dict(given["metadata"])
        key = (metadata.get("namespace", ""), metadata["name"])
        before = self.objects[resource.name].get(key)
        self.version += 1
        old = before["metadata"] if before else {}
        metadata["uid"] = old.get("uid") or metadata.get("uid") or f"uid-{self.version}"
        metadata["resourceVersion"] = str(self.version)
        metadata["generation"] = old.get("generation", 0) + 1
        whole = {**given, "metadata": metadata}
        self.objects[resource.name][key] = whole
        self._show(resource, "MODIFIED" if before else "ADDED", whole)
        return whole

    def remove(self, resource: Resource, namespace: str, name: str) -> None:
        gone = self.objects[resource.name].pop((namespace, name), None)
        if gone is not None:
            self._show(resource, "DELETED", gone)

    def list(self, resource: Resource) -> bytes:  # type: ignore[override]
        items = list(self.objects[resource.name].values())
        return json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}).encode()

    def _show(self, resource: Resource, event: str, shown: Object) -> None:
        line = json.dumps({"type": event, "object": shown}).encode()
        self.unseen[resource.name].append(line)

    # What the controller calls.

    def create(self, resource: Resource, namespace: Any, name: str, body: Any) -> bytes:
        metadata = {**body["metadata"]}
        metadata.setdefault("name", f"{name}{self.version}")
        return self._written(
            lambda: self.put(resource, {**body, "metadata": metadata}), "create", resource
        )

    def update(self, resource: Resource, namespace: Any, name: str, body: Any) -> bytes:
        assert body["metadata"]["resourceVersion"], "it would undo what others wrote"
        self._require(resource, "update", (namespace, name), body["metadata"])
        return self._written(lambda: self.put(resource, body), "update", resource)

    def delete(self, resource: Resource, namespace: Any, name: str, body: Any = b"") -> bytes:
        self._require(resource, "delete", (namespace, name), body["preconditions"])

        def remove() -> Object:
            self.remove(resource, namespace, name)
            return {}

        return self._written(remove, "delete", resource)

    def get(self, resource: Resource, namespace: Any, name: str) -> bytes:
        found = self.objects[resource.name].get((namespace or "", name))
        if found is None:
            raise refusal("get", resource.name, 404, {}, b"")
        return json.dumps(found).encode()

    def _require(self, resource: Resource, verb: str, key: Key, conditions: Object) -> None:
        known = self.objects[resource.name].get(key)
        if known is None:
            raise refusal(verb, resource.name, 404, {}, b"")
        for part in ("uid", "resourceVersion"):
            if part in conditions and conditions[part] != known["metadata"][part]:
                raise refusal(verb, resource.name, 409, {}, b"")

    def _written(self, write: Callable[[], Object], verb: str, resource: Resource) -> bytes:
        is_last = self.kill_at == 0
        if self.kill_at is not None:
            self.kill_at -= 1
        if is_last and not self.kill_after:
            raise Killed
        whole = write()
        self.writes += 1
        self.wrote()
        if is_last:
            raise Killed
        return json.dumps(whole).encode()


class Rig:
    """A store and a controller of it, step by step, under a clock of its own."""

    def __init__(self, *, with_endpoints: bool = False) -> None:
        self.store = Store()
        self.scope = Scope(
            policy=Policy(max_endpoints_per_slice=MAX_ENDPOINTS), with_endpoints=with_endpoints
        )
        self.now = 0.0
        self.start()

    def start(self) -> None:
        """Starts a controller, which lists everything."""
        self.store.kill_at = None
        self.controller = Controller(self.scope)
        for resource, sink in self._sinks():
            sink.begin_replace(resource.kind)
            sink.feed(self.store.list(resource))
            sink.end_replace(resource.kind)
            self.store.unseen[resource.name].clear()
        self.queues: list[tuple[Upkeep, WorkQueue[Key]]] = [
            (one, one.begin(lambda: self.now)) for one in self.controller.upkeeps
        ]

    def _sinks(self) -> list[tuple[Resource, Any]]:
        state = self.controller.state
        slices = self.controller.pod_slices.slices.cache
        sinks = (state.services, state.nodes, state.pods, state.endpoints, slices)
        return list(zip(WATCHED, sinks, strict=True))

    def deliver(self, name: str, count: int) -> None:
        """Lets the watch of a resource show its next events."""
        sink = next(sink for resource, sink in self._sinks() if resource.name == name)
        unseen = self.store.unseen[name]
        for _ in range(min(count, len(unseen))):
            sink.feed_event(unseen.popleft())

    def work(self) -> None:
        """Works on every key that is due; a controller that is killed is started again."""
        for upkeep, queue in self.queues:
            # What becomes due when the first key is taken is behind the first sentinel.
            for _ in range(2):
                queue.add(SENTINEL)
                while (key := queue.get()) not in (SENTINEL, None):
                    assert key is not None
                    try:
                        upkeep.sync(self.store, key, lambda: False)
                    except Killed:
                        self.start()
                        return
                    except KpxError:
                        queue.done(key, failed=True)
                    else:
                        queue.done(key)
                queue.done(SENTINEL)

    def settle(self) -> None:
        """Lets time pass, with all that happened shown, until nothing is written any more."""
        self.store.kill_at = None
        for _ in range(40):
            before = self.store.writes
            for resource in WATCHED:
                self.deliver(resource.name, 1 << 20)
            self.now += 2000
            self.work()
            if self.store.writes == before and not any(self.store.unseen.values()):
                return
        raise AssertionError("it does not settle")

    def slices(self) -> list[EndpointSlice]:
        found = self.store.objects[ENDPOINT_SLICES.name].values()
        return [EndpointSlice.from_object(one) for one in found]

    def fresh(self) -> Iterable[EndpointSlice]:
        """The slices that one who sees the cluster for the first time would make."""
        state = Rig.__new__(Rig)
        state.store, state.scope, state.now = Store(), self.scope, 0.0
        for resource in (SERVICES, NODES, PODS):
            state.store.objects[resource.name] = self.store.objects[resource.name]
        state.start()
        known = state.controller.state
        found: list[EndpointSlice] = []
        for service in known.services.objects.values():
            pods = known.pods_of(service)
            nodes = known.nodes_of(pods)
            found += named(reconcile(service, pods, nodes, (), self.scope.policy).slices)
        return found
