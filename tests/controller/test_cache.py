"""What a reflector feeds, and what the controller counts."""

import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpx.controller.cache import Cache, Key
from kpx.endpointslices import Pod, PodIndex, Service, ServiceIndex
from kpx.endpointslices.selection import selects
from kpx.errors import DecodeFailed
from objects import pod, service

Object = dict[str, Any]


class Changes:
    def __init__(self) -> None:
        self.seen: list[tuple[Key, bool, bool]] = []
        self.cache = Cache(Pod.from_object, self._note, threading.RLock())

    def _note(self, key: Key, old: Pod | None, new: Pod | None) -> None:
        self.seen.append((key, old is not None, new is not None))

    def list(self, *pods: Object) -> None:
        self.cache.begin_replace("Pod")
        page = {"kind": "PodList", "metadata": {"resourceVersion": "5"}, "items": pods}
        assert self.cache.feed(json.dumps(page).encode()).resource_version == "5"
        self.cache.end_replace("Pod")

    def event(self, kind: str, shown: Object) -> None:
        said = self.cache.feed_event(json.dumps({"type": kind, "object": shown}).encode())
        assert said.event == kind


A, B = ("default", "a"), ("default", "b")


def test_e14_what_a_new_list_does_not_have_is_gone() -> None:
    changes = Changes()
    changes.list(pod("a", "10.0.0.1"), pod("b", "10.0.0.2"))
    changes.list(pod("b", "10.0.0.2"))
    assert changes.seen == [(A, False, True), (B, False, True), (A, True, False)]


def test_e11_what_is_not_published_is_no_change() -> None:
    changes = Changes()
    changes.event("ADDED", pod("a", "10.0.0.1"))
    touched = pod("a", "10.0.0.1", metadata={"annotations": {"a": "b"}, "resourceVersion": "9"})
    changes.event("MODIFIED", touched)
    assert len(changes.seen) == 1
    changes.event("MODIFIED", pod("a", "10.0.0.1", ready=False))
    changes.event("DELETED", pod("a", "10.0.0.1"))
    assert changes.seen[1:] == [(A, True, True), (A, True, False)]


def test_the_last_good_version_of_an_invalid_object_stays() -> None:
    changes = Changes()
    changes.event("ADDED", pod("a", "10.0.0.1"))
    changes.event("MODIFIED", pod("a", status={"podIPs": "10.0.0.2"}))
    assert changes.cache.objects[A].addresses == ("10.0.0.1",)
    changes.list(pod("a", status={"podIPs": "10.0.0.2"}))
    assert A in changes.cache.objects


@pytest.mark.parametrize("line", [b"{", b"[]", b"{}", b'{"type": "ADDED", "object": {}}'])
def test_what_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(DecodeFailed):
        Changes().cache.feed_event(line)


labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=3)


@given(st.lists(st.none() | labels, max_size=8), st.lists(labels, max_size=8))
def test_e13_the_indexes_find_what_a_search_finds(
    selectors: list[dict[str, str] | None], pods: list[dict[str, str]]
) -> None:
    services = [
        Service.from_object(service(f"s{number}", selector=selector))
        for number, selector in enumerate(selectors)
    ]
    known = [
        Pod.from_object(pod(f"p{number}", metadata={"labels": one}))
        for number, one in enumerate(pods)
    ]
    index, pod_index = ServiceIndex(), PodIndex(known)
    for one in services:
        index.put(one)
    # Every other one goes again.
    for gone in services[::2]:
        index.remove(gone)
    for left in known[::2]:
        pod_index.remove(left)
    for each in known:
        assert index.select(each) == {
            (one.namespace, one.name)
            for one in services[1::2]
            if selects(one.selector, each.labels)
        }
    for one in services:
        assert pod_index.select(one) == [
            each for each in known[1::2] if selects(one.selector, each.labels)
        ]
