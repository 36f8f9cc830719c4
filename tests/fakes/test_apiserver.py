"""The fake API server itself: what tests rely on."""

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.apiserver import LEASES, PODS, SERVICES, ApiServer, Fault, Refusal
from objects import pod, service


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        running.preload(SERVICES, [service("a"), service("b")])
        yield running
        while _opened:
            _opened.pop().close()


_opened: list[http.client.HTTPConnection | http.client.HTTPResponse] = []
"""Closed at the end of a test."""


def ask(
    server: ApiServer, path: str, method: str = "GET", body: dict[str, Any] | None = None
) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path, json.dumps(body) if body else None)
    answer = connection.getresponse()
    _opened.extend([connection, answer])
    return answer.status, json.loads(answer.read())


class Following:
    """A watch as a plain client sees it."""

    def __init__(self, server: ApiServer, query: str, path: str = SERVICES) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        self.connection.request("GET", f"{path}?watch=true&{query}")
        self.answer = self.connection.getresponse()
        _opened.extend([self.connection, self.answer])

    def next(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.answer.readline())
        return event

    def events(self, count: int) -> list[str]:
        found = [self.next() for _ in range(count)]
        return [f"{event['type']} {event['object']['metadata'].get('name')}" for event in found]


def test_versions_grow_and_a_watch_replays_from_any_that_is_kept(server: ApiServer) -> None:
    _, page = ask(server, SERVICES)
    before = page["metadata"]["resourceVersion"]
    server.put(SERVICES, service("c"))
    server.put(SERVICES, service("c", clusterIP="10.96.0.11"))
    server.remove(SERVICES, "default", "a")
    for _ in range(2):
        watch = Following(server, f"resourceVersion={before}")
        assert watch.events(3) == ["ADDED c", "MODIFIED c", "DELETED a"]


def test_several_watches_see_the_same(server: ApiServer) -> None:
    watches = [Following(server, f"resourceVersion={server.store.version}") for _ in range(5)]
    server.put(SERVICES, service("c"))
    assert [watch.events(1) for watch in watches] == [["ADDED c"]] * 5


@pytest.mark.parametrize("in_stream", [False, True])
def test_a_version_that_is_gone(server: ApiServer, in_stream: bool) -> None:
    server.expired_in_stream = in_stream
    watch_version = server.store.version
    server.compact(SERVICES)
    watch = Following(server, f"resourceVersion={watch_version}")
    if in_stream:
        assert watch.answer.status == 200
        assert watch.next()["object"]["code"] == 410
    else:
        assert watch.answer.status == 410


def test_history_is_bounded(server: ApiServer) -> None:
    version = server.store.version
    for _ in range(10_001):
        server.put(SERVICES, service("a"))
    assert Following(server, f"resourceVersion={version}").answer.status == 410
    assert Following(server, f"resourceVersion={version + 1}").answer.status == 200


def test_a_version_not_got_to_is_refused(server: ApiServer) -> None:
    status, said = ask(server, f"{SERVICES}?resourceVersion=999999")
    assert status == 504
    assert said["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_selectors_decide_what_a_watch_sees(server: ApiServer) -> None:
    query = f"resourceVersion={server.store.version}&labelSelector=x%3Dy"
    watch = Following(server, query)
    labelled = service("a")
    labelled["metadata"]["labels"] = {"x": "y"}
    server.put(SERVICES, labelled)
    server.put(SERVICES, service("b", clusterIP="10.96.0.12"))
    server.put(SERVICES, service("a"))
    assert watch.events(2) == ["ADDED a", "DELETED a"]


def test_a_streamed_list_ends_with_its_bookmark(server: ApiServer) -> None:
    watch = Following(server, "sendInitialEvents=true&resourceVersionMatch=NotOlderThan")
    assert watch.events(2) == ["ADDED a", "ADDED b"]
    bookmark = watch.next()["object"]["metadata"]
    assert bookmark["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert bookmark["resourceVersion"] == str(server.store.version)


def test_bookmarks_come_to_who_asks(server: ApiServer) -> None:
    server.bookmark_seconds = 0.05
    watch = Following(server, f"resourceVersion={server.store.version}&allowWatchBookmarks=true")
    assert watch.next()["type"] == "BOOKMARK"
    quiet = Following(server, f"resourceVersion={server.store.version}&timeoutSeconds=1")
    assert quiet.answer.read() == b""


def test_a_watch_ends_at_its_time(server: ApiServer) -> None:
    began = time.monotonic()
    watch = Following(server, f"resourceVersion={server.store.version}&timeoutSeconds=1")
    assert watch.answer.read() == b""
    assert 0.9 < time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("what", "error"),
    [("cut", http.client.IncompleteRead), ("cut in chunk", http.client.IncompleteRead)],
)
def test_a_cut_is_no_end(server: ApiServer, what: str, error: type[Exception]) -> None:
    watch = Following(server, f"resourceVersion={server.store.version}")
    while server.inject(SERVICES, Fault(what)) == 0:
        time.sleep(0.01)
    with pytest.raises(error):
        watch.answer.read()


def test_silence_leaves_the_connection_open(server: ApiServer) -> None:
    version = server.store.version
    head = f"GET {SERVICES}?watch=true&resourceVersion={version} HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.sendall(head.encode())
        while server.inject(SERVICES, Fault("silence")) == 0:
            time.sleep(0.01)
        [(_, watch)] = server.watches
        while watch.faults:
            time.sleep(0.01)
        server.put(SERVICES, service("c"))
        assert b"chunked" in peer.recv(65536)
        peer.settimeout(0.3)
        with pytest.raises(socket.timeout):
            peer.recv(65536)


def test_refusals_wait_for_their_verb(server: ApiServer) -> None:
    server.refusals[SERVICES].append(Refusal(429, headers={"Retry-After": "3"}, verb="watch"))
    assert ask(server, SERVICES)[0] == 200
    watch = Following(server, "resourceVersion=1")
    assert (watch.answer.status, watch.answer.headers["Retry-After"]) == (429, "3")


def test_writes_take_the_version_into_account(server: ApiServer) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
    lease = {"metadata": {"name": "x"}, "spec": {"holderIdentity": "one"}}
    status, made = ask(server, path, "POST", lease)
    assert status == 201
    assert ask(server, path, "POST", lease)[1]["reason"] == "AlreadyExists"
    assert ask(server, f"{path}/x", "PUT", made)[0] == 200
    assert ask(server, f"{path}/x", "PUT", made)[1]["reason"] == "Conflict"
    assert ask(server, f"{path}/x", "PATCH", {"spec": {"holderIdentity": None}})[1]["spec"] == {}
    assert ask(server, f"{path}/x", "DELETE")[0] == 200
    assert ask(server, f"{path}/x")[0] == 404
    assert server.get(LEASES) == []


def test_generations_follow_what_an_object_says(server: ApiServer) -> None:
    server.put(PODS, pod("a", "10.0.0.1"))
    server.put(PODS, pod("a", "10.0.0.1", ready=False))
    assert server.get(PODS)[0]["metadata"]["generation"] == 1
    server.put(PODS, pod("a", "10.0.0.1", spec={"nodeName": "other"}))
    assert server.get(PODS)[0]["metadata"]["generation"] == 2


def test_a_process_obeys_commands() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "fakes.apiserver"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def say(words: Any) -> Any:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(words) + "\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        url = say({"objects": {SERVICES: [service("a")]}})
        assert url.startswith("http://127.0.0.1:")
        assert json.loads(say(["put", SERVICES, service("b")]))["metadata"]["resourceVersion"]
        assert say(["remove", SERVICES, "default", "a"]) == "null"
        names = [item["metadata"]["name"] for item in json.loads(say(["get", SERVICES]))]
        assert names == ["b"]
        process.stdin.close()
        assert process.wait(10) == 0
