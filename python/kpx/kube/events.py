"""Events on objects, for those who look at them with `kubectl describe`."""

import hashlib
import json
import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final

from kpx.errors import ClusterUnreadable
from kpx.kube.client import Client
from kpx.kube.rate_limit import RateLimit
from kpx.kube.refusal import AlreadyExists, NotFound
from kpx.kube.resources import ENDPOINT_SLICES, ENDPOINTS, EVENTS, NODES, SERVICE_CIDRS, SERVICES

__all__ = ["EventRecorder", "ObjectReference"]

_QUEUE_LENGTH: Final = 1000
_REMEMBERED: Final = 4096
_BURST: Final = 25
_PER_SECOND: Final = 1 / 300
"""How many Events an object gets at once and then: client-go's spam filter."""
_SERIES_SECONDS: Final = 360.0
"""Within what time the same Event counts up rather than being another (client-go)."""
_LONGEST_NOTE: Final = 1024
_LONGEST_INSTANCE: Final = 128
"""In bytes, what the API server accepts (pkg/apis/core/validation/events.go)."""
_RESOURCES: Final = {
    one.kind: one for one in (ENDPOINT_SLICES, ENDPOINTS, NODES, SERVICES, SERVICE_CIDRS)
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ObjectReference:
    """The object an Event is about."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""
    uid: str = ""
    """Without one, that of the object there is: `kubectl describe` selects Events by it."""


@dataclass(frozen=True)
class _Note:
    regarding: ObjectReference
    event_type: str
    reason: str
    action: str
    note: str
    is_shared: bool


@dataclass
class _Series:
    name: str
    count: int
    last: float
    is_ours: bool


class EventRecorder:
    """Writes Events (events.k8s.io/v1) from a thread of its own; who records never waits.

    The same Event again counts up. An object that gets too many loses them, and so does everyone
    when the API server does not keep up: `dropped` counts both, and what the server refused.
    """

    def __init__(
        self,
        client: Client,
        controller: str,
        instance: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        """Writes nothing before `run`.

        Args:
            client: Where to write.
            controller: Who reports, such as `kpx`.
            instance: Which one of them, such as the node's name.
            clock: Seconds, from any start.
            now: The time that is written into Events.
        """
        self._client = client
        self._controller = controller
        self._instance = _cut(instance, _LONGEST_INSTANCE)
        self._clock = clock
        self._now = now
        self._queue: queue.Queue[_Note] = queue.Queue(_QUEUE_LENGTH)
        self._series: OrderedDict[_Note, _Series] = OrderedDict()
        self._limits: OrderedDict[ObjectReference, RateLimit] = OrderedDict()
        self.dropped = 0

    def record(
        self,
        regarding: ObjectReference,
        event_type: str,
        reason: str,
        action: str,
        note: str,
        *,
        is_shared: bool = False,
    ) -> None:
        """Takes an Event in, to be written soon.

        Args:
            regarding: What it is about.
            event_type: `Normal` or `Warning`.
            reason: Why, in one word for machines, such as `FailedToProgram`.
            action: What was being done, in one word.
            note: What a person is told; cut at 1 KiB.
            is_shared: Whether every instance finds the same: the first one reports it, under a
                name that follows from what it says, and the others find it reported.
        """
        text = _cut(note, _LONGEST_NOTE)
        try:
            self._queue.put_nowait(_Note(regarding, event_type, reason, action, text, is_shared))
        except queue.Full:
            self.dropped += 1

    def run(self, stop: threading.Event) -> None:
        """Writes until `stop` is set."""
        while not stop.is_set():
            try:
                note = self._queue.get(timeout=0.2)
            except queue.Empty:
                continue
            try:
                self._write(note)
            except ClusterUnreadable as failure:
                self.dropped += 1
                _log.warning("an event is lost: %s", failure)

    def _write(self, note: _Note) -> None:
        known = self._series.get(note)
        if known and self._clock() - known.last < _SERIES_SECONDS:
            known.count += 1
            known.last = self._clock()
            self._series.move_to_end(note)
            if known.is_ours and self._is_allowed(note.regarding):
                self._count_up(note, known)
            return
        if self._is_allowed(note.regarding):
            self._make(note)

    def _is_allowed(self, regarding: ObjectReference) -> bool:
        limit = self._limits.get(regarding)
        if limit is None:
            limit = self._limits[regarding] = RateLimit(_PER_SECOND, _BURST, clock=self._clock)
        _remember(self._limits, regarding)
        if limit.try_take():
            return True
        self.dropped += 1
        return False

    def _count_up(self, note: _Note, series: _Series) -> None:
        body = {"series": {"count": series.count, "lastObservedTime": self._time()}}
        try:
            self._client.patch(EVENTS, _namespace(note.regarding), series.name, body)
        except NotFound:
            # The API server deletes Events after an hour.
            self._make(note)

    def _make(self, note: _Note) -> None:
        regarding = note.regarding
        reference = {
            "apiVersion": regarding.api_version,
            "kind": regarding.kind,
            "namespace": regarding.namespace,
            "name": regarding.name,
            "uid": regarding.uid or self._uid(regarding),
        }
        prefix = f"{regarding.name[:200]}."
        name = prefix + _digest(*reference.values(), note.reason, note.note)
        metadata = {
            "namespace": _namespace(regarding),
            **({"name": name} if note.is_shared else {"generateName": prefix}),
        }
        body: dict[str, Any] = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": metadata,
            "eventTime": self._time(),
            "type": note.event_type,
            "reason": note.reason,
            "action": note.action,
            "note": note.note,
            "regarding": {name: value for name, value in reference.items() if value},
            "reportingController": self._controller,
            "reportingInstance": self._instance,
        }
        is_ours = True
        try:
            made = self._client.create(EVENTS, _namespace(regarding), regarding.name, body)
            name = _metadata(made, "name")
        except AlreadyExists:
            is_ours = False
        self._series[note] = _Series(name, 1, self._clock(), is_ours)
        _remember(self._series, note)

    def _uid(self, regarding: ObjectReference) -> str:
        """The uid of an object; empty if it cannot be found out, which loses no Event."""
        resource = _RESOURCES.get(regarding.kind)
        if resource is None:
            return ""
        try:
            found = self._client.get(resource, regarding.namespace or None, regarding.name)
            return _metadata(found, "uid")
        except ClusterUnreadable:
            return ""

    def _time(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _namespace(regarding: ObjectReference) -> str:
    # Events about what has no namespace are in this one, as client-go has it.
    return regarding.namespace or "default"


def _metadata(answer: bytes, field: str) -> str:
    try:
        return str(json.loads(answer)["metadata"][field])
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise ClusterUnreadable(f"the API server's answer has no `metadata.{field}`") from error


def _digest(*parts: str) -> str:
    """Few characters that differ for other texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _cut(text: str, length: int) -> str:
    """The start of a text, in at most so many bytes."""
    return text.encode()[:length].decode(errors="ignore")


def _remember(known: OrderedDict[Any, Any], key: object) -> None:
    known.move_to_end(key)
    if len(known) > _REMEMBERED:
        known.popitem(last=False)
