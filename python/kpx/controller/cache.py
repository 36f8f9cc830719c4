"""The objects of one kind as the API server last showed them."""

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kpx.endpointslices import ObjectInvalid
from kpx.errors import DecodeFailed

__all__ = ["Cache", "Key"]

_T = TypeVar("_T")

Key = tuple[str, str]
"""Namespace and name; the namespace is empty where the kind has none."""

_INITIAL_EVENTS_END = "k8s.io/initial-events-end"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Page:
    resource_version: str | None
    continue_token: str | None


@dataclass(frozen=True)
class _Event:
    event: str
    resource_version: str | None
    initial_events_end: bool = False
    code: int | None = None
    reason: str | None = None
    message: str | None = None


class Cache(Generic[_T]):
    """What a reflector feeds: converted objects by key, and word of each change.

    An object that is not valid is left out, and its last good version stays.
    """

    def __init__(
        self,
        convert: Callable[[dict[str, Any]], _T],
        on_change: Callable[[Key, _T | None, _T | None], None],
        lock: threading.RLock,
    ) -> None:
        """Starts empty.

        Args:
            convert: Makes a record of a decoded object; may raise `ObjectInvalid`.
            on_change: Told the key, what was and what is; called with the lock held.
            lock: Held while anything changes. Whoever reads holds it, too.
        """
        self._convert = convert
        self._on_change = on_change
        self._lock = lock
        self.objects: dict[Key, _T] = {}
        self.invalid: set[Key] = set()
        """What is there, but in a version that is not valid."""
        self._unseen: set[Key] | None = None

    def begin_replace(self, kind: str) -> None:
        """A new full list begins."""
        with self._lock:
            self._unseen = self.objects.keys() | self.invalid

    def end_replace(self, kind: str) -> None:
        """What did not come since `begin_replace` is gone."""
        with self._lock:
            for key in self._unseen or ():
                self._remove(key)
            self._unseen = None

    def feed(self, frame: bytes) -> _Page:
        """Takes in a page of a list."""
        page = _decoded(frame)
        metadata = page.get("metadata") or {}
        with self._lock:
            for item in page.get("items") or ():
                self._put(item)
        return _Page(metadata.get("resourceVersion"), metadata.get("continue") or None)

    def feed_event(self, line: bytes) -> _Event:
        """Takes in a line of a watch."""
        written = _decoded(line)
        event, shown = written.get("type"), written.get("object")
        if not isinstance(event, str) or not isinstance(shown, dict):
            raise DecodeFailed("the line is no watch event")
        if event == "ERROR":
            said = (shown.get(name) for name in ("code", "reason", "message"))
            return _Event(event, None, False, *said)
        metadata = shown.get("metadata") or {}
        if event == "BOOKMARK":
            annotations = metadata.get("annotations") or {}
            is_end = annotations.get(_INITIAL_EVENTS_END) == "true"
            return _Event(event, metadata.get("resourceVersion"), is_end)
        with self._lock:
            if event == "DELETED":
                self._remove(_key(shown))
            else:
                self._put(shown)
        return _Event(event, metadata.get("resourceVersion"))

    def _put(self, shown: dict[str, Any]) -> None:
        key = _key(shown)
        if self._unseen is not None:
            self._unseen.discard(key)
        try:
            new = self._convert(shown)
        except ObjectInvalid as failure:
            self.invalid.add(key)
            _log.warning("`%s/%s` is left out: %s", *key, failure)
            return
        self.invalid.discard(key)
        old = self.objects.get(key)
        self.objects[key] = new
        if old != new:
            self._on_change(key, old, new)

    def _remove(self, key: Key) -> None:
        self.invalid.discard(key)
        old = self.objects.pop(key, None)
        if old is not None:
            self._on_change(key, old, None)


def _decoded(frame: bytes) -> dict[str, Any]:
    try:
        document = json.loads(frame)
    except ValueError as failure:
        raise DecodeFailed(f"no JSON: {failure}") from failure
    if not isinstance(document, dict):
        raise DecodeFailed("not an object")
    return document


def _key(shown: dict[str, Any]) -> Key:
    metadata = shown.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise DecodeFailed("an object without a name")
    return str(metadata.get("namespace") or ""), metadata["name"]
