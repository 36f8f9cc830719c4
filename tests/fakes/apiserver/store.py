"""Objects with resource versions, and a bounded history of what happened to them."""

import json
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True)
class Change:
    """Something that happened to an object."""

    version: int
    current: Object | None
    previous: Object | None
    text: bytes
    """The object as it is in events: as it was last, when it is gone."""


@dataclass
class Collection:
    """The objects of one kind."""

    objects: dict[Key, tuple[Object, bytes]] = field(default_factory=dict)
    history: deque[Change] = field(default_factory=lambda: deque(maxlen=10_000))
    oldest: int = 0
    """The oldest version from which a watch can go on."""


class Store:
    """Every collection, by its path. `changed` guards all, and is notified of changes."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.version = 1000
        self.held: set[str] = set()
        """Collections whose watches are told nothing for now."""
        self._collections: dict[str, Collection] = {}

    def collection(self, path: str) -> Collection:
        return self._collections.setdefault(path, Collection())

    def preload(self, path: str, objects: Iterable[Object]) -> None:
        """Makes these the only objects, as if they had always been there."""
        with self.changed:
            collection = self.collection(path)
            collection.objects.clear()
            for given in objects:
                self.version += 1
                whole = self._stamped(given, None)
                collection.objects[key_of(whole)] = whole, encode(whole)
            self._forget(collection)

    def put(self, path: str, given: Object) -> Object:
        with self.changed:
            collection = self.collection(path)
            previous = collection.objects.get(key_of(given), (None, b""))[0]
            self.version += 1
            whole = self._stamped(given, previous)
            text = encode(whole)
            collection.objects[key_of(whole)] = whole, text
            self._record(collection, Change(self.version, whole, previous, text))
            return whole

    def remove(self, path: str, namespace: str, name: str) -> Object | None:
        with self.changed:
            collection = self.collection(path)
            previous, _ = collection.objects.pop((namespace, name), (None, b""))
            if previous is None:
                return None
            self.version += 1
            metadata = {**previous["metadata"], "resourceVersion": str(self.version)}
            last = {**previous, "metadata": metadata}
            self._record(collection, Change(self.version, None, previous, encode(last)))
            return last

    def compact(self, path: str) -> None:
        """Forgets the history: no watch can go on from a version before now."""
        with self.changed:
            self.version += 1
            self._forget(self.collection(path))

    def restore(self, contents: dict[str, list[Object]]) -> None:
        """Goes back to what was there before, resource versions included, as from a backup."""
        with self.changed:
            self.version = max(
                int(item["metadata"]["resourceVersion"])
                for items in contents.values()
                for item in items
            )
            for path, items in contents.items():
                collection = self.collection(path)
                collection.objects = {key_of(item): (item, encode(item)) for item in items}
                self._forget(collection)

    def _forget(self, collection: Collection) -> None:
        collection.history.clear()
        collection.oldest = self.version

    def _record(self, collection: Collection, change: Change) -> None:
        if len(collection.history) == collection.history.maxlen:
            collection.oldest = collection.history[0].version
        collection.history.append(change)
        self.changed.notify_all()

    def _stamped(self, given: Object, previous: Object | None) -> Object:
        metadata = dict(given["metadata"])
        metadata["resourceVersion"] = str(self.version)
        before = previous["metadata"] if previous else {}
        metadata["uid"] = before.get("uid") or metadata.get("uid") or f"uid-{self.version}"
        generation = before.get("generation", 0)
        if previous is None or _content(given) != _content(previous):
            generation += 1
        metadata["generation"] = generation
        return {**given, "metadata": metadata}


def key_of(given: Object) -> Key:
    return given["metadata"].get("namespace", ""), given["metadata"]["name"]


def encode(given: Object) -> bytes:
    """As JSON; the characters `\\udc80` to `\\udcff` are written as bytes that are no UTF-8."""
    text = json.dumps(given, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogateescape")


def matches(item: Object | None, query: dict[str, str]) -> bool:
    """Whether an object is selected: `!label`, `label`, `label=value` and one field."""
    if item is None:
        return False
    labels = item["metadata"].get("labels", {})
    for selector in filter(None, query.get("labelSelector", "").split(",")):
        if selector.startswith("!"):
            if selector[1:] in labels:
                return False
        elif "=" in selector:
            name, _, value = selector.replace("==", "=").partition("=")
            if labels.get(name) != value:
                return False
        elif selector not in labels:
            return False
    selector = query.get("fieldSelector", "")
    name, operator, value = selector.partition("!=" if "!=" in selector else "=")
    if not operator:
        return True
    found: Any = item
    for part in name.split("."):
        found = found.get(part, "")
    return bool((found == value) == (operator == "="))


def _content(given: Object) -> Object:
    return {name: part for name, part in given.items() if name not in ("metadata", "status")}
