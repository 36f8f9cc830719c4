"""The watch checklist: what a client of list and watch does, row by row, against a server."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from kubernetes.client import Configuration

from fakes.apiserver import ENDPOINT_SLICES, SERVICE_CIDRS, SERVICES, ApiServer, Fault, Refusal
from kpx import Proxier
from kpx.kube import Backoff, Client, EventReport, FeedReport, Reflector, reflector, resources
from kpx.kube.transport import Interruption
from objects import service

_RESOURCES = {resource.path: resource for resource in resources("node")}


@dataclass
class Memory:
    """A sink that notes what it was told, decodes as the core does, and knows names."""

    core: Proxier = field(default_factory=lambda: Proxier('{"node_name": "node"}'))
    calls: list[str] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    at: list[float] = field(default_factory=list)

    def begin_replace(self, kind: str) -> None:
        self.core.begin_replace(kind)
        self.calls.append("begin")
        self.seen = set()

    def end_replace(self, kind: str) -> None:
        self.core.end_replace(kind)
        self.calls.append("end")
        self.names &= self.seen

    def feed(self, frame: bytes) -> FeedReport:
        report = self.core.feed(frame)
        self.calls.append("page")
        for item in json.loads(frame)["items"]:
            self._add(item["metadata"]["name"])
        return report

    def feed_event(self, line: bytes) -> EventReport:
        report = self.core.feed_event(line)
        self.at.append(time.perf_counter())
        self.calls.append(report.event)
        self.lines.append(line)
        if report.event in ("ADDED", "MODIFIED"):
            self._add(json.loads(line)["object"]["metadata"]["name"])
        elif report.event == "DELETED":
            self.names.discard(json.loads(line)["object"]["metadata"]["name"])
        return report

    def has_more_than(self, count: int) -> bool:
        return len(self.at) > count

    def _add(self, name: str) -> None:
        self.names.add(name)
        self.seen.add(name)


class Waits(Backoff):
    """Notes the waits, and makes none of them."""

    def __init__(self) -> None:
        super().__init__(random=lambda: 0.0)
        self.made: list[float] = []

    def wait(self, at_least: float | None = None) -> float:
        self.made.append(super().wait(at_least))
        return 0.01


def eventually(condition: Callable[[], Any], within: float = 20.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


@dataclass
class Running:
    reflector: Reflector
    sink: Memory
    waits: Waits
    stop: threading.Event
    thread: threading.Thread
    changes: list[None]


Start = Callable[..., Running]


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        running.preload(SERVICES, [service("a"), service("b")])
        yield running


@pytest.fixture
def start(server: ApiServer) -> Iterator[Start]:
    """Starts a reflector of Services, unless told otherwise."""
    with ExitStack() as stack:

        def started(path: str = SERVICES, url: str | None = None, **options: Any) -> Running:
            sink, waits, stop = Memory(), Waits(), threading.Event()
            changes: list[None] = []
            client = Client(Configuration(host=url or server.url))
            options = {"start_jitter": 0.0, "backoff": waits, **options}
            made = Reflector(
                client, _RESOURCES[path], sink, on_change=lambda: changes.append(None), **options
            )
            thread = threading.Thread(target=made.run, args=(stop,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(stop.set)
            return Running(made, sink, waits, stop, thread, changes)

        yield started


def watching(server: ApiServer, path: str = SERVICES) -> bool:
    return any(watched == path for watched, _ in server.watches)


def synced(server: ApiServer, running: Running, path: str = SERVICES) -> None:
    assert running.reflector.synced.wait(20)
    eventually(lambda: watching(server, path))


def whole_lists(server: ApiServer) -> int:
    """How many whole lists were asked for, streamed or not."""
    streamed = [query for query in server.asked(SERVICES) if "sendInitialEvents" in query]
    return len(streamed) + len(server.asked(SERVICES, "list"))


@pytest.fixture(params=[True, False], ids=["streamed", "listed"])
def streaming(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_lists_then_follows(server: ApiServer, start: Start, streaming: bool) -> None:
    running = start(streaming_lists=streaming)
    synced(server, running)
    assert running.sink.names == {"a", "b"}
    server.put(SERVICES, service("c"))
    server.put(SERVICES, service("a", clusterIP="10.96.0.11"))
    server.remove(SERVICES, "default", "b")
    eventually(lambda: running.sink.calls[-3:] == ["ADDED", "MODIFIED", "DELETED"])
    assert running.sink.names == {"a", "c"}
    assert running.changes
    assert running.waits.made == []


# Row 1: the first list is of any version and in one piece; pages where the newest is asked for.


def test_the_first_list_is_of_any_version_in_one_piece(server: ApiServer, start: Start) -> None:
    synced(server, start(streaming_lists=False))
    [asked] = server.asked(SERVICES, "list")
    assert asked["resourceVersion"] == "0"
    assert "limit" not in asked


def test_a_list_of_the_newest_comes_in_pages(
    server: ApiServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "PAGE_SIZE", 2)
    server.preload(SERVICES, [service(f"s{number}") for number in range(5)])
    server.refusals[SERVICES].append(Refusal(410))
    running = start(streaming_lists=False)
    synced(server, running)
    first, *pages = server.asked(SERVICES, "list")
    assert first["resourceVersion"] == "0"
    assert [(page.get("resourceVersion"), page["limit"]) for page in pages] == [(None, "2")] * 3
    assert running.sink.calls == ["begin", "begin", "page", "page", "page", "end"]
    assert len(running.sink.names) == 5


def test_pages_that_the_server_makes_unasked_are_followed(server: ApiServer, start: Start) -> None:
    server.page_limit = 1
    running = start(streaming_lists=False)
    synced(server, running)
    assert running.sink.calls[:4] == ["begin", "page", "page", "end"]


def test_a_relist_asks_for_what_was_seen_or_newer(server: ApiServer, start: Start) -> None:
    running = start(streaming_lists=False)
    synced(server, running)
    seen = str(server.store.version)
    server.inject(SERVICES, Fault("error", 418))
    eventually(lambda: len(server.asked(SERVICES, "list")) == 2)
    assert server.asked(SERVICES, "list")[1]["resourceVersion"] == seen


# Row 2: what is gone is listed anew, at the newest version.


@pytest.mark.parametrize("in_stream", [False, True])
def test_a_version_that_is_gone_is_listed_anew(
    server: ApiServer, start: Start, streaming: bool, in_stream: bool
) -> None:
    server.expired_in_stream = in_stream
    running = start(streaming_lists=streaming)
    synced(server, running)
    server.refusals[SERVICES].append(Refusal(500, verb="watch"))
    server.inject(SERVICES, Fault("cut"))
    eventually(lambda: not watching(server))
    server.compact(SERVICES)
    eventually(lambda: running.reflector.status.lists == 2)
    asked = [
        query
        for query in server.asked(SERVICES)
        if "sendInitialEvents" in query or "watch" not in query
    ]
    assert asked[-1].get("resourceVersion", "") == ""
    assert running.sink.names == {"a", "b"}


def test_a_continue_token_that_expires_begins_the_list_anew(
    server: ApiServer, start: Start
) -> None:
    server.page_limit = 1
    server.expirations = 1
    running = start(streaming_lists=False)
    synced(server, running)
    assert running.sink.calls[:5] == ["begin", "page", "begin", "page", "page"]
    assert running.sink.names == {"a", "b"}


def test_a_version_the_server_has_not_got_to(
    server: ApiServer, start: Start, streaming: bool
) -> None:
    running = start(streaming_lists=streaming)
    synced(server, running)
    with server.store.changed:
        server.store.version -= 500  # as after a restore of etcd
        server.store.collection(SERVICES).oldest -= 500
    server.inject(SERVICES, Fault("cut"))
    eventually(lambda: running.reflector.status.lists == 2)
    assert "Too large resource version" in str(running.reflector.status.last_error)


# Rows 3 and 4: bookmarks, random timeouts, and resuming.


def test_watches_ask_for_bookmarks_and_random_ends(server: ApiServer, start: Start) -> None:
    asked = []
    for number in (0.0, 0.5, 1.0):
        running = start(streaming_lists=False, random=lambda number=number: number)
        synced(server, running)
        asked.append(server.asked(SERVICES, "watch")[-1])
        running.stop.set()
        running.thread.join()
        eventually(lambda: server.inject(SERVICES, Fault("end")) == 0)
    assert [query["timeoutSeconds"] for query in asked] == ["300", "450", "600"]
    assert all(query["allowWatchBookmarks"] == "true" for query in asked)


def test_a_watch_that_ends_is_resumed(server: ApiServer, start: Start, streaming: bool) -> None:
    running = start(streaming_lists=streaming)
    synced(server, running)
    seen = server.put(SERVICES, service("c"))["metadata"]["resourceVersion"]
    eventually(lambda: "c" in running.sink.names)
    server.inject(SERVICES, Fault("end"))
    eventually(lambda: server.asked(SERVICES, "watch")[-1].get("resourceVersion") == seen)
    server.put(SERVICES, service("d"))
    eventually(lambda: "d" in running.sink.names)
    assert running.reflector.status.lists == 1
    assert running.waits.made == []


def test_a_bookmark_moves_the_version_alone(server: ApiServer, start: Start) -> None:
    running = start(streaming_lists=False)
    synced(server, running)
    changes = len(running.changes)
    line = b'{"type":"BOOKMARK","object":{"kind":"Service","apiVersion":"v1",'
    line += b'"metadata":{"resourceVersion":"1001"}}}\n'
    server.inject(SERVICES, Fault("raw", text=line))
    eventually(lambda: "BOOKMARK" in running.sink.calls)
    server.inject(SERVICES, Fault("end"))
    eventually(lambda: len(server.asked(SERVICES, "watch")) >= 2)
    assert server.asked(SERVICES, "watch")[1]["resourceVersion"] == "1001"
    assert len(running.changes) == changes


# Row 5: errors in the stream; none but 410 lists anew.


@pytest.mark.parametrize("code", [429, 500, 503])
def test_an_error_in_the_stream_is_watched_again(
    server: ApiServer, start: Start, code: int
) -> None:
    running = start()
    synced(server, running)
    server.inject(SERVICES, Fault("error", code))
    eventually(lambda: running.reflector.status.failures == 1)
    server.put(SERVICES, service("c"))
    eventually(lambda: "c" in running.sink.names)
    assert whole_lists(server) == 1
    assert f"({code})" in str(running.reflector.status.last_error)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_watched_again_and_not_listed(
    server: ApiServer, start: Start, status: int
) -> None:
    running = start()
    synced(server, running)
    server.refusals[SERVICES].extend([Refusal(status, verb="watch")] * 3)
    server.inject(SERVICES, Fault("cut"))
    server.put(SERVICES, service("c"))
    eventually(lambda: not server.refusals[SERVICES])
    eventually(lambda: "c" in running.sink.names)
    assert whole_lists(server) == 1


def test_a_server_that_is_away_is_watched_again_and_not_listed(
    server: ApiServer, start: Start
) -> None:
    running = start()
    synced(server, running)
    server.__exit__()
    eventually(lambda: "cannot be reached" in str(running.reflector.status.last_error))
    with ApiServer(port=server.port, store=server.store) as again:
        again.put(SERVICES, service("c"))
        eventually(lambda: "c" in running.sink.names)
        assert whole_lists(again) == 0
        assert running.reflector.status.lists == 1
        running.stop.set()
        running.thread.join()
    server.__enter__()


# Row 6: back-off.


def test_waits_double_to_a_bound_with_jitter_and_start_over_after_health() -> None:
    now = 0.0
    backoff = Backoff(clock=lambda: now, random=lambda: 0.5)
    waits = [backoff.wait() for _ in range(7)]
    assert waits == pytest.approx([1.2, 2.4, 4.8, 9.6, 19.2, 38.4, 45.0])
    now = waits[-1] + 119
    assert backoff.wait() == pytest.approx(45.0)
    now += 45 + 120
    assert backoff.wait() == pytest.approx(1.2)


def test_a_server_says_when_to_come_back(server: ApiServer, start: Start) -> None:
    headers = {"Retry-After": "7"}
    server.refusals[SERVICES].append(Refusal(429, headers=headers))
    server.refusals[SERVICES].append(Refusal(429, headers={"Retry-After": "9" * 50}))
    running = start(streaming_lists=False)
    synced(server, running)
    assert running.waits.made == [7.0, 120.0]


def test_a_watch_that_ends_at_once_without_an_event_is_an_error(
    server: ApiServer, start: Start
) -> None:
    running = start(streaming_lists=False, clock=lambda: 0.0)
    synced(server, running)
    server.inject(SERVICES, Fault("end"))
    eventually(lambda: running.waits.made)
    assert "ended at once" in str(running.reflector.status.last_error)


# Row 7: dead peers.


def test_a_peer_that_goes_silent_is_given_up(server: ApiServer, start: Start) -> None:
    running = start(inactivity=0.5)
    synced(server, running)
    server.inject(SERVICES, Fault("silence"))
    eventually(lambda: "silent" in str(running.reflector.status.last_error))
    server.put(SERVICES, service("c"))
    eventually(lambda: "c" in running.sink.names)
    assert whole_lists(server) == 1


def test_bookmarks_keep_a_quiet_watch_alive(server: ApiServer, start: Start) -> None:
    server.bookmark_seconds = 0.2
    running = start(inactivity=5.0)
    synced(server, running)
    eventually(lambda: running.sink.calls.count("BOOKMARK") >= 5)
    assert running.waits.made == []


def test_sockets_notice_a_peer_that_vanished(server: ApiServer) -> None:
    found: list[int] = []

    class Looking(Interruption):
        def add(self, connected: socket.socket) -> None:
            found.append(connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
            for option in (socket.TCP_KEEPIDLE, socket.TCP_USER_TIMEOUT):
                found.append(connected.getsockopt(socket.IPPROTO_TCP, option))

    client = Client(Configuration(host=server.url)).interruptible(Looking())
    client.watch(_RESOURCES[SERVICES], {}, 5.0).close()
    assert found == [1, 15, 30_000]


# Row 8: a new list deletes what is gone, and keeps everything while it comes.


def test_a_new_list_deletes_what_is_gone(server: ApiServer, start: Start, streaming: bool) -> None:
    running = start(streaming_lists=streaming)
    synced(server, running)
    server.refusals[SERVICES].append(Refusal(503, verb="watch"))
    server.preload(SERVICES, [service("b"), service("c")])
    server.inject(SERVICES, Fault("cut"))
    eventually(lambda: running.reflector.status.lists == 2)
    assert running.sink.names == {"b", "c"}


# Row 9: what is not understood is passed over.


@pytest.mark.parametrize(
    "text",
    [
        b'{"type":"FUTURE","object":{"kind":"Service"}}\n',
        b"not json\n",
        b'{"type":"ADDED"\n',
        b"\xff\xfe\n",
        b'{"type":"ADDED","object":' + b"[" * 100_000 + b"\n",
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_passed_over(
    server: ApiServer, start: Start, text: bytes
) -> None:
    running = start()
    synced(server, running)
    server.inject(SERVICES, Fault("raw", text=text))
    eventually(lambda: running.reflector.status.invalid_lines == 1)
    server.put(SERVICES, service("c"))
    eventually(lambda: "c" in running.sink.names)
    assert "services was left out" in str(running.reflector.status.last_error)
    assert running.reflector.status.watches == 1


def test_an_object_that_is_added_twice_is_one(server: ApiServer, start: Start) -> None:
    running = start()
    synced(server, running)
    again = {**service("a"), "metadata": {**service("a")["metadata"], "resourceVersion": "abc"}}
    line = json.dumps({"type": "ADDED", "object": again}).encode() + b"\n"
    server.inject(SERVICES, Fault("raw", text=line))
    eventually(lambda: "ADDED" in running.sink.calls[3:])
    assert running.sink.names == {"a", "b"}
    # A version is opaque: it is sent back as it came.
    server.refusals[SERVICES].append(Refusal(503, verb="watch"))
    server.inject(SERVICES, Fault("end"))
    eventually(lambda: server.asked(SERVICES, "watch")[1:])
    assert server.asked(SERVICES, "watch")[1]["resourceVersion"] == "abc"
    running.stop.set()


# Row 10: streamed lists.


def test_a_list_is_streamed_where_it_can_be(server: ApiServer, start: Start) -> None:
    running = start()
    synced(server, running)
    assert running.sink.calls == ["begin", "ADDED", "ADDED", "BOOKMARK", "end"]
    [asked] = server.asked(SERVICES)
    assert asked["sendInitialEvents"] == "true"
    assert asked["resourceVersionMatch"] == "NotOlderThan"
    assert asked.get("resourceVersion", "") == ""
    # One change, when the list was whole.
    assert len(running.changes) == 1


@pytest.mark.parametrize("streaming_lists", [False, None])
def test_a_server_that_streams_no_lists_is_listed(
    server: ApiServer, start: Start, streaming_lists: bool | None
) -> None:
    server.streaming_lists = streaming_lists
    server.bookmark_seconds = 0.1
    running = start()
    synced(server, running)
    assert running.sink.names == {"a", "b"}
    assert len(server.asked(SERVICES, "list")) == 1
    server.put(SERVICES, service("c"))
    eventually(lambda: "c" in running.sink.names)


def test_a_streamed_list_that_is_cut_off_does_not_count(server: ApiServer, start: Start) -> None:
    server.streaming_lists = None
    server.bookmark_seconds = 60
    running = start()
    eventually(lambda: running.sink.calls.count("ADDED") == 2)
    assert not running.reflector.synced.is_set()
    assert running.changes == []
    server.streaming_lists = True
    server.remove(SERVICES, "default", "a")
    server.inject(SERVICES, Fault("cut"))
    synced(server, running)
    assert running.sink.names == {"b"}
    assert running.sink.calls.count("begin") == running.sink.calls.count("end") + 1


# Row 12 and 13: spread and selectors.


def test_the_first_list_is_spread(server: ApiServer, start: Start) -> None:
    running = start(start_jitter=100.0, random=lambda: 1.0)
    assert not running.reflector.synced.wait(0.3)
    assert server.requests == []
    running.stop.set()
    running.thread.join(1)
    assert not running.thread.is_alive()


def test_watches_select_as_kube_proxy_does(
    server: ApiServer, start: Start, streaming: bool
) -> None:
    synced(server, start(streaming_lists=streaming))
    synced(server, start(ENDPOINT_SLICES, streaming_lists=streaming), ENDPOINT_SLICES)
    proxy = "!service.kubernetes.io/service-proxy-name"
    assert {query["labelSelector"] for query in server.asked(SERVICES)} == {proxy}
    assert {query["labelSelector"] for query in server.asked(ENDPOINT_SLICES)} == {
        f"{proxy},!service.kubernetes.io/headless"
    }


def test_a_resource_that_an_old_server_lacks_is_empty(
    server: ApiServer, start: Start, streaming: bool
) -> None:
    server.served.remove(SERVICE_CIDRS)
    running = start(SERVICE_CIDRS, streaming_lists=streaming)
    assert running.reflector.synced.wait(20)
    assert running.waits.made == []
    assert running.reflector.status.last_error is None


# Bytes.


@pytest.mark.parametrize("what", ["cut in line", "cut in chunk"])
def test_a_line_that_is_cut_off_is_dropped(server: ApiServer, start: Start, what: str) -> None:
    running = start()
    synced(server, running)
    server.put(SERVICES, service("c"))
    server.inject(SERVICES, Fault(what))
    server.put(SERVICES, service("d"))
    eventually(lambda: {"c", "d"} <= running.sink.names)
    assert running.reflector.status.lists == 1
    assert running.reflector.status.invalid_lines == 0


def cut_and_resumed(server: ApiServer) -> None:
    watches = len(server.asked(SERVICES, "watch"))
    server.inject(SERVICES, Fault("cut in line"))
    eventually(lambda: len(server.asked(SERVICES, "watch")) > watches and watching(server))


def test_a_watch_that_brought_something_is_resumed_at_once(server: ApiServer, start: Start) -> None:
    # No watch ever takes a second.
    running = start(clock=lambda: 0.0)
    synced(server, running)
    for name in ("c", "d", "e"):
        server.put(SERVICES, service(name))
        eventually(partial(running.sink.names.__contains__, name))
        cut_and_resumed(server)
    assert running.waits.made == []
    assert running.reflector.status.failures == 3
    # The last of these brings nothing.
    cut_and_resumed(server)
    cut_and_resumed(server)
    assert running.waits.made


def test_lines_of_megabytes_are_read(server: ApiServer, start: Start) -> None:
    running = start()
    synced(server, running)
    big = service("big")
    big["metadata"]["annotations"] = {"a": "x" * 3_000_000}
    server.put(SERVICES, big)
    eventually(lambda: "big" in running.sink.names)


def test_a_line_without_an_end_takes_bounded_memory(server: ApiServer, start: Start) -> None:
    running = start(longest_line=100_000)
    synced(server, running)
    for _ in range(50):
        server.inject(SERVICES, Fault("raw", text=b"x" * 50_000))
    server.inject(SERVICES, Fault("raw", text=b"\n"))
    server.put(SERVICES, service("c"))
    eventually(lambda: "c" in running.sink.names)
    assert running.reflector.status.invalid_lines == 1
    assert "is longer than 100000 bytes" in str(running.reflector.status.last_error)


@pytest.mark.parametrize("where", ["watching", "silent", "hanging", "backing off"])
def test_a_thread_ends_within_a_second(server: ApiServer, start: Start, where: str) -> None:
    if where == "hanging":
        server.refusals[SERVICES].append(Refusal(hang=True))
    if where == "backing off":
        server.refusals[SERVICES].append(Refusal(503, headers={"Retry-After": "100"}))
    options = {"backoff": Backoff()} if where == "backing off" else {}
    running = start(**options)
    if where == "silent":
        synced(server, running)
        server.inject(SERVICES, Fault("silence"))
    if where == "watching":
        synced(server, running)
    else:
        eventually(lambda: server.requests)
    running.stop.set()
    running.thread.join(1)
    assert not running.thread.is_alive()


def test_an_event_is_handed_on_as_it_comes(server: ApiServer, start: Start) -> None:
    running = start()
    synced(server, running)
    waits = []
    for number in range(100):
        count = len(running.sink.at)
        written = time.perf_counter()
        server.put(SERVICES, service("a", clusterIP=f"10.96.1.{number}"))
        eventually(partial(running.sink.has_more_than, count))
        waits.append(running.sink.at[-1] - written)
    # Far from what is measured (see ARCHITECTURE.md), but nearer than any buffer or timer.
    assert sorted(waits)[50] < 0.05
