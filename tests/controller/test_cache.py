"""What a reflector feeds, and what the controller is told of it."""

import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpx._core import Pod
from kpx.controller.cache import Cache
from kpx.controller.pod_cache import PodCache
from kpx.endpointslices import Service, ServiceIndex
from kpx.endpointslices.selection import selects
from kpx.errors import DecodeFailed
from objects import pod, pod_record, pod_store, service

Object = dict[str, Any]


class Changes:
    """What either cache tells: the name, whether it was there, whether it is."""

    def __init__(self, kind: str) -> None:
        self.seen: list[tuple[str, bool, bool]] = []
        self.kind = kind
        self.services = Cache(
            Service.from_object,
            lambda key, old, new: self._note(key[1], old, new),
            threading.RLock(),
        )
        self.pods = PodCache(self._pod_changed, threading.RLock())
        self.cache: Cache[Service] | PodCache = self.pods if kind == "Pod" else self.services

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        self._note((new or old or pod_record(pod("?"))).name, old, new)

    def _note(self, name: str, old: object, new: object) -> None:
        self.seen.append((name, old is not None, new is not None))

    def shown(self, name: str, address: str = "10.0.0.1", **metadata: Any) -> Object:
        if self.kind == "Pod":
            return pod(name, address, metadata=metadata)
        made = service(name, clusterIPs=[address])
        return {**made, "metadata": {**made["metadata"], **metadata}}

    def broken(self, name: str) -> Object:
        made = self.shown(name)
        return {**made, "spec": {**made["spec"], "containers": 5, "ports": 5}}

    def list(self, *shown: Object) -> None:
        self.cache.begin_replace(self.kind)
        page = {"metadata": {"resourceVersion": "5", "continue": ""}, "items": shown}
        report = self.cache.feed(json.dumps(page).encode())
        assert (report.resource_version, report.continue_token) == ("5", None)
        self.cache.end_replace(self.kind)

    def event(self, kind: str, shown: Object) -> None:
        said = self.cache.feed_event(json.dumps({"type": kind, "object": shown}).encode())
        assert said.event == kind


@pytest.fixture(params=["Pod", "Service"])
def changes(request: pytest.FixtureRequest) -> Changes:
    return Changes(request.param)


def test_e14_what_a_new_list_does_not_have_is_gone(changes: Changes) -> None:
    changes.list(changes.shown("a"), changes.shown("b"))
    changes.list(changes.shown("b"))
    assert changes.seen == [("a", False, True), ("b", False, True), ("a", True, False)]


def test_e11_what_is_not_published_is_no_change(changes: Changes) -> None:
    changes.event("ADDED", changes.shown("a"))
    changes.event("MODIFIED", changes.shown("a", annotations={"a": "b"}, resourceVersion="9"))
    assert len(changes.seen) == 1
    changes.event("MODIFIED", changes.shown("a", "10.0.0.2"))
    changes.event("DELETED", changes.shown("a", "10.0.0.2"))
    assert changes.seen[1:] == [("a", True, True), ("a", True, False)]


def test_the_last_good_version_of_an_invalid_object_stays(
    changes: Changes, caplog: pytest.LogCaptureFixture
) -> None:
    changes.event("ADDED", changes.shown("a"))
    changes.event("MODIFIED", changes.broken("a"))
    changes.list(changes.broken("a"))
    assert changes.seen == [("a", False, True)]
    assert "`default/a` is left out" in caplog.text
    changes.list()
    assert changes.seen[1:] == [("a", True, False)]


def test_what_the_server_says_of_the_watch_is_handed_on(changes: Changes) -> None:
    end = {"k8s.io/initial-events-end": "true"}
    bookmark = {"metadata": {"resourceVersion": "7", "annotations": end}}
    line = json.dumps({"type": "BOOKMARK", "object": bookmark}).encode()
    said = changes.cache.feed_event(line)
    assert (said.event, said.resource_version, said.initial_events_end) == ("BOOKMARK", "7", True)
    status = {"code": 410, "reason": "Expired", "message": "too old"}
    said = changes.cache.feed_event(json.dumps({"type": "ERROR", "object": status}).encode())
    assert (said.code, said.reason, said.message) == (410, "Expired", "too old")


@pytest.mark.parametrize("line", [b"{", b"[]", b"{}", b'{"type": "ADDED", "object": 5}'])
def test_what_is_no_event_is_refused(changes: Changes, line: bytes) -> None:
    with pytest.raises(DecodeFailed):
        changes.cache.feed_event(line)


labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=3)


@given(st.lists(st.none() | labels, max_size=8), st.lists(labels, max_size=8))
def test_e13_the_indexes_find_what_a_search_finds(
    selectors: list[dict[str, str] | None], pods: list[dict[str, str]]
) -> None:
    services = [
        Service.from_object(service(f"s{number}", selector=selector))
        for number, selector in enumerate(selectors)
    ]
    shown = [pod(f"p{number}", metadata={"labels": one}) for number, one in enumerate(pods)]
    known, store, index = list(map(pod_record, shown)), pod_store(*shown), ServiceIndex()
    for one in services:
        index.put(one)
    # Every other one goes again.
    for gone in services[::2]:
        index.remove(gone)
    for left in shown[::2]:
        store.feed_event(json.dumps({"type": "DELETED", "object": left}).encode())
    for each in known:
        assert index.select(each) == {
            (one.namespace, one.name)
            for one in services[1::2]
            if selects(one.selector, each.labels)
        }
    for one in services:
        assert store.select(one.namespace, one.selector) == [
            each for each in known[1::2] if selects(one.selector, each.labels)
        ]
