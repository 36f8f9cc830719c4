"""One open watch."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from fakes.apiserver.store import Change, Object, Store, encode, matches


@dataclass(frozen=True)
class Fault:
    """Something done to an open watch."""

    what: str
    """`end`, `cut`, `cut in line`, `cut in chunk`, `silence`, `error`, `raw` or `replay`."""
    code: int = 500
    """Of an `error`; of a `replay`, by how many versions it goes back."""
    message: str = "failed"
    text: bytes = b""
    """Of `raw`: what is sent as it is."""


class Watch:
    """Sends what happens to a collection, until its time is over or a fault ends it."""

    def __init__(
        self,
        store: Store,
        path: str,
        kind: tuple[str, str],
        namespace: str | None,
        query: dict[str, str],
    ) -> None:
        self._store = store
        self._path = path
        self._collection = store.collection(path)
        self._kind = kind
        self._namespace = namespace
        self._query = query
        self.faults: deque[Fault] = deque()
        self.bookmark_seconds = 60.0
        self.says_where_lists_end = True
        asked = query.get("resourceVersion", "")
        self.initial = asked in ("", "0") or "sendInitialEvents" in query
        self._version = 0 if self.initial else int(asked)

    def serve(self, write: Callable[[bytes], object], closing: threading.Event) -> bool:
        """Writes chunks; the headers are sent already. Says whether the last chunk was, too."""
        deadline = time.monotonic() + float(self._query.get("timeoutSeconds", 1800))
        bookmark_at = time.monotonic() + self.bookmark_seconds
        if self.initial:
            lines = self._initial()
            for start in range(0, len(lines), 100):
                write(b"".join(_chunk(line) for line in lines[start : start + 100]))
        while True:
            with self._store.changed:
                now = time.monotonic()
                changes = self._changes()
                if not changes and not self.faults and now < min(deadline, bookmark_at):
                    self._store.changed.wait(min(deadline, bookmark_at) - now)
                    continue
                fault = self.faults.popleft() if self.faults and not changes else None
                version = self._store.version
            # One chunk an event, as the real server flushes after each.
            write(b"".join(_chunk(line) for line in changes))
            now = time.monotonic()
            if fault and self._suffer(fault, write, closing):
                return fault.what in ("end", "error")
            if now >= deadline:
                write(b"0\r\n\r\n")
                return True
            if now >= bookmark_at:
                bookmark_at = now + self.bookmark_seconds
                is_told = version == self._version or self._path not in self._store.held
                if self._query.get("allowWatchBookmarks") == "true" and is_told:
                    write(_chunk(self._bookmark(version)))

    def _suffer(
        self, fault: Fault, write: Callable[[bytes], object], closing: threading.Event
    ) -> bool:
        half = b'{"type":"ADDED","object":{"kind":"' + b"x" * 20
        if fault.what == "raw":
            write(_chunk(fault.text, b""))
            return False
        if fault.what == "replay":
            self._version = max(self._collection.oldest, self._version - fault.code)
            return False
        if fault.what == "error":
            status = {"kind": "Status", "code": fault.code, "message": fault.message}
            if fault.code == 410:
                status["reason"] = "Expired"
            write(_chunk(encode({"type": "ERROR", "object": status})))
        if fault.what == "cut in line":
            write(_chunk(half, b""))
        if fault.what == "cut in chunk":
            write(b"400\r\n" + half)
        if fault.what == "silence":
            closing.wait()
        if fault.what in ("end", "error"):
            write(b"0\r\n\r\n")
        return True

    def _initial(self) -> list[bytes]:
        with self._store.changed:
            lines = [
                _event("ADDED", text)
                for (namespace, _), (item, text) in self._collection.objects.items()
                if self._namespace in (None, namespace) and matches(item, self._query)
            ]
            self._version = self._store.version
        if self._query.get("sendInitialEvents") == "true" and self.says_where_lists_end:
            lines.append(self._bookmark(self._version, {"k8s.io/initial-events-end": "true"}))
        return lines

    def _changes(self) -> list[bytes]:
        if self._path in self._store.held:
            return []
        found: list[bytes] = []
        for change in reversed(self._collection.history):
            if change.version <= self._version:
                break
            line = self._line(change)
            if line:
                found.append(line)
        if self._collection.history:
            self._version = max(self._version, self._collection.history[-1].version)
        return found[::-1]

    def _line(self, change: Change) -> bytes | None:
        last = change.current or change.previous
        assert last is not None
        if self._namespace not in (None, last["metadata"].get("namespace", "")):
            return None
        is_selected = matches(change.current, self._query)
        was_selected = matches(change.previous, self._query)
        if is_selected:
            return _event("MODIFIED" if was_selected else "ADDED", change.text)
        return _event("DELETED", change.text) if was_selected else None

    def _bookmark(self, version: int, annotations: Object | None = None) -> bytes:
        metadata: Object = {"resourceVersion": str(version)}
        if annotations:
            metadata["annotations"] = annotations
        api_version, kind = self._kind
        item = {"kind": kind, "apiVersion": api_version, "metadata": metadata}
        return encode({"type": "BOOKMARK", "object": item})


def _event(event_type: str, text: bytes) -> bytes:
    return b'{"type":"%s","object":%s}' % (event_type.encode(), text)


def _chunk(line: bytes, end: bytes = b"\n") -> bytes:
    return b"%x\r\n%s%s\r\n" % (len(line) + len(end), line, end)
