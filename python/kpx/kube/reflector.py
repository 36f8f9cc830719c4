"""Keeps a sink equal to a resource of the API server, as client-go's reflector does."""

import logging
import random as random_module
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kpx.errors import ClusterUnreadable, DecodeFailed
from kpx.kube.backoff import Backoff
from kpx.kube.client import Client
from kpx.kube.lines import LONGEST_LINE_BYTES, Lines
from kpx.kube.refusal import (
    ListExpired,
    NotFound,
    RequestRefused,
    VersionTooLarge,
    is_too_large,
)
from kpx.kube.resources import Resource
from kpx.kube.sink import EventReport, Sink
from kpx.kube.transport import Interruption

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

__all__ = ["Reflector", "ReflectorStatus"]

PAGE_SIZE: Final = 500
"""How many objects a page has, as in client-go's pager."""

WATCH_TIMEOUT_SECONDS: Final = (300, 600)
"""Between what a watch may take, at random, so that those of many nodes do not end together."""

INACTIVITY_SECONDS: Final = 150.0
"""After how much silence a watch is given up. The API server sends bookmarks every minute."""

_READ_BYTES: Final = 1 << 16
_SHORTEST_WATCH_SECONDS: Final = 1.0
_OVERTIME_SECONDS: Final = 30.0
_NOT_SERVED_SECONDS: Final = 300.0
_REJECTS_STREAMING: Final = (400, 405, 422, 501)

_log = logging.getLogger(__name__)


@dataclass
class ReflectorStatus:
    """How a reflector is doing."""

    last_contact: float | None = None
    """When the server last sent anything, by the reflector's clock."""
    lists: int = 0
    """How many lists were taken in as a whole."""
    watches: int = 0
    """How many watches were opened."""
    failures: int = 0
    """How many lists and watches failed."""
    invalid_lines: int = 0
    """How many lines could not be read; the others were taken in."""
    last_error: str | None = None
    """What failed last."""


class _WatchFailed(Exception):
    """A watch is over, and not as it should be; it is opened again after a while."""

    def __init__(self, message: str, *, version_lost: bool = False, relist: bool = False) -> None:
        super().__init__(message)
        self.version_lost = version_lost
        self.relist = relist or version_lost


class _StreamingRejected(Exception):
    """A list did not come as a stream, and is to come in pages.

    Attributes:
        for_good: Whether the server does not send lists as streams at all.
    """

    def __init__(self, message: str, *, for_good: bool = False) -> None:
        super().__init__(message)
        self.for_good = for_good


class Reflector:
    """Keeps a Sink equal to one resource of the API server, for ever.

    It lists, watches from the version of the list, and resumes where a watch ended. It lists again
    only if the server has forgotten the version (410), and then deletes what is gone. Whatever
    fails is tried again after a growing while; what the sink knows stays meanwhile.

    Attributes:
        synced: Set once the first full list is in.
        status: For health and metrics.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        sink: Sink,
        *,
        on_change: Callable[[], None],
        on_failure: Callable[[], None] = lambda: None,
        streaming_lists: bool = True,
        start_jitter: float = 0.25,
        inactivity: float = INACTIVITY_SECONDS,
        longest_line: int = LONGEST_LINE_BYTES,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        """Connects nowhere yet.

        Args:
            client: Where to read; the reflector makes connections of its own from it.
            resource: What to read.
            sink: What takes it in.
            on_change: Called after a list, and after events, have been taken in.
            on_failure: Called after a list or a watch has failed.
            streaming_lists: Whether to ask for lists as streams (KEP-3157) where served.
            start_jitter: The first list is asked for within so many seconds, at random.
            inactivity: After how many seconds of silence a connection is given up.
            longest_line: Lines of more bytes are left out.
            backoff: The waits after failures; client-go's unless given.
            clock: Seconds, from any start.
            random: A number from 0 to 1.
        """
        self._interruption = Interruption()
        self._client = client.interruptible(self._interruption)
        self._resource = resource
        self._sink = sink
        self._on_change = on_change
        self._on_failure = on_failure
        self._streaming = streaming_lists
        self._start_jitter = start_jitter
        self._inactivity = inactivity
        self._longest_line = longest_line
        self._clock = clock
        self._random = random
        self._backoff = backoff or Backoff(clock=clock, random=random)
        self._version: str | None = None
        """The version that the sink is at; `None` if a list must say."""
        self._list_version = "0"
        """How old a list may be: `0` any, a version that one or newer, empty the newest."""
        self._paged = False
        self._in_pages = False
        """Whether the next list is not to be a stream."""
        self._stop = threading.Event()
        self.synced = threading.Event()
        self.status = ReflectorStatus()

    @property
    def resource(self) -> Resource:
        """What is read."""
        return self._resource

    def run(self, stop: threading.Event) -> None:
        """Reads until `stop` is set, which ends a read at once.

        Only a connection that is just being made is waited for, up to its timeout of 5 s.
        """
        self._stop = stop
        finished = threading.Event()
        interrupter = threading.Thread(
            target=self._interrupt, args=(stop, finished), name="interrupter", daemon=True
        )
        interrupter.start()
        try:
            if not stop.wait(self._random() * self._start_jitter):
                self._loop()
        finally:
            finished.set()
            interrupter.join()

    def _interrupt(self, stop: threading.Event, finished: threading.Event) -> None:
        while not finished.is_set():
            if stop.wait(0.5):
                self._interruption.set()
                return

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                if self._version is None:
                    self._list()
                else:
                    self._watch(self._version)
            except _StreamingRejected as rejection:
                _log.info("listing %s in pages: %s", self._resource.name, rejection)
                self._streaming &= not rejection.for_good
                self._in_pages = True
            except NotFound as refusal:
                self._not_served(refusal)
            except (ListExpired, VersionTooLarge) as refusal:
                self._lose_version()
                self._wait_after(str(refusal), refusal.retry_after)
            except RequestRefused as refusal:
                if refusal.status == 400:
                    self._lose_version()
                self._wait_after(str(refusal), refusal.retry_after)
            except _WatchFailed as failure:
                if failure.relist:
                    self._version = None
                if failure.version_lost:
                    self._list_version = ""
                self._wait_after(str(failure))
            except (ClusterUnreadable, DecodeFailed) as failure:
                self._wait_after(str(failure))

    def _lose_version(self) -> None:
        self._version = None
        self._list_version = ""

    def _wait_after(self, message: str, at_least: float | None = None) -> None:
        if self._stop.is_set():
            return
        self._note_failure(message)
        seconds = self._backoff.wait(at_least)
        _log.warning("%s; trying again in %.1f s", message, seconds)
        self._stop.wait(seconds)

    def _note_failure(self, message: str) -> None:
        self.status.failures += 1
        self.status.last_error = message
        self._on_failure()

    def _not_served(self, refusal: NotFound) -> None:
        """Takes a resource that an older server does not serve for an empty one."""
        if not self._resource.optional:
            self._wait_after(str(refusal))
            return
        self._version = None
        self._sink.begin_replace(self._resource.kind)
        self._end_list(None)
        self._stop.wait(_NOT_SERVED_SECONDS)

    def _end_list(self, version: str | None) -> None:
        self._sink.end_replace(self._resource.kind)
        self._version = version
        if version:
            self._list_version = version
        self._in_pages = False
        self.status.lists += 1
        self.synced.set()
        self._on_change()

    # Lists.

    def _list(self) -> None:
        if self._streaming and not self._in_pages:
            self._watch(None)
            return
        self._sink.begin_replace(self._resource.kind)
        version = self._list_version
        # A list of any version, or of a version or newer, comes from the server's cache, in one
        # piece. Asking for a page of it would have it read from etcd.
        limit = {"limit": str(PAGE_SIZE)} if version == "" or self._paged else {}
        query = {**self._resource.selectors, **limit}
        if version and not self._paged:
            query["resourceVersion"] = version
        token: str | None = None
        while not self._stop.is_set():
            asked = {**query, "continue": token} if token else query
            if token:
                asked.pop("resourceVersion", None)
            report = None
            for part in self._client.list_in_parts(self._resource, asked):
                self._contact()
                if self._stop.is_set():
                    return
                report = self._sink.feed(part)
            if report is None or report.resource_version is None:
                raise ClusterUnreadable(
                    f"cannot list {self._resource.name}: the API server's answer is no list",
                    "check that the address is that of a Kubernetes API server",
                )
            if not report.continue_token:
                self._end_list(report.resource_version)
                return
            if report.continue_token == token:
                raise ClusterUnreadable(
                    f"cannot list {self._resource.name}: the same page came twice"
                )
            token = report.continue_token
            self._paged = True

    # Watches.

    def _watch(self, version: str | None) -> None:
        """Watches from a version, or, without one, what begins with a streamed list."""
        low, high = WATCH_TIMEOUT_SECONDS
        seconds = low + int(self._random() * (high - low))
        query = {"allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        if version is None:
            query["sendInitialEvents"] = "true"
            query["resourceVersionMatch"] = "NotOlderThan"
            # As client-go: the newest, where nothing is known yet.
            query["resourceVersion"] = "" if self._list_version == "0" else self._list_version
        else:
            query["resourceVersion"] = version
        started = self._clock()
        try:
            response = self._client.watch(self._resource, query, self._inactivity)
        except RequestRefused as refusal:
            rejected = version is None and refusal.status in _REJECTS_STREAMING
            if rejected and not isinstance(refusal, VersionTooLarge):
                raise _StreamingRejected(str(refusal), for_good=True) from refusal
            raise
        self.status.watches += 1
        self._contact()
        stream = _Stream(self, version is None, Lines(self._longest_line))
        try:
            if version is None:
                self._sink.begin_replace(self._resource.kind)
            self._read(response, stream, started + seconds + _OVERTIME_SECONDS)
        except ClusterUnreadable as failure:
            if stream.initial or self._was_vain(stream, started):
                raise
            # As with client-go, a watch that was of use is resumed at once.
            self._note_failure(str(failure))
            _log.warning("%s; resuming", failure)
            return
        finally:
            self._drop(response)
        if self._stop.is_set():
            return
        if stream.initial:
            raise _StreamingRejected("the stream ended before its list did")
        if self._was_vain(stream, started):
            raise _WatchFailed(f"a watch of {self._resource.name} ended at once, without an event")

    def _was_vain(self, stream: "_Stream", started: float) -> bool:
        return stream.events == 0 and self._clock() - started < _SHORTEST_WATCH_SECONDS

    def _read(self, response: "BaseHTTPResponse", stream: "_Stream", deadline: float) -> None:
        from urllib3.exceptions import HTTPError

        while not self._stop.is_set() and self._clock() < deadline:
            try:
                chunk = response.read1(_READ_BYTES)
            except (HTTPError, OSError, ValueError) as failure:
                # What is left of a line that was cut off is dropped: resuming brings it again.
                if self._stop.is_set():
                    return
                raise self._client.unreachable("watch", self._resource.name, failure) from failure
            if not chunk:
                return
            self._contact()
            stream.take(chunk)

    def _drop(self, response: "BaseHTTPResponse") -> None:
        # Not `release_conn`: what else would come on the connection belongs to the watch.
        response.close()

    def _contact(self) -> None:
        self.status.last_contact = self._clock()

    # What the stream needs.

    def _invalid(self, message: str) -> None:
        self.status.invalid_lines += 1
        self.status.last_error = message
        _log.error("%s", message)


class _Stream:
    """The lines of one watch, handed on."""

    def __init__(self, reflector: Reflector, initial: bool, lines: Lines) -> None:
        self._reflector = reflector
        self._lines = lines
        self.initial = initial
        """Whether the events are still those of a list."""
        self.events = 0

    def take(self, chunk: bytes) -> None:
        reflector = self._reflector
        feed = reflector._sink.feed_event
        overlong = self._lines.overlong
        changed = False
        lines = self._lines.add(chunk)
        try:
            for line in lines:
                if reflector._stop.is_set():
                    return
                self.events += 1
                try:
                    report = feed(line)
                except DecodeFailed as failure:
                    self._leave_out(f"{failure}: {line[:200]!r}")
                    continue
                if report.event in ("BOOKMARK", "ERROR"):
                    self._control(report)
                    continue
                if not self.initial:
                    changed = True
                    if report.resource_version:
                        reflector._version = report.resource_version
                        reflector._list_version = report.resource_version
        finally:
            if changed:
                reflector._on_change()
        if self._lines.overlong > overlong:
            self._leave_out(f"is longer than {reflector._longest_line} bytes")

    def _leave_out(self, why: str) -> None:
        name = self._reflector.resource.name
        self._reflector._invalid(f"a line of the watch of {name} was left out: {why}")
        if self.initial:
            # The list is not whole without it, and what it names must not be deleted.
            raise _StreamingRejected("a line of the stream could not be read")

    def _control(self, report: EventReport) -> None:
        reflector = self._reflector
        if report.event == "ERROR":
            self._fail(report)
        if self.initial:
            if not report.initial_events_end:
                why = "the stream does not say where its list ends"
                raise _StreamingRejected(why, for_good=True)
            self.initial = False
            reflector._end_list(report.resource_version)
        elif report.resource_version:
            reflector._version = report.resource_version
            reflector._list_version = report.resource_version

    def _fail(self, report: EventReport) -> None:
        name = self._reflector.resource.name
        said = f"the watch of {name} was ended by the server ({report.code}): {report.message}"
        lost = report.code == 410 or report.reason == "Expired" or is_too_large(report.message)
        code = report.code or 500
        raise _WatchFailed(said, version_lost=lost, relist=not (code == 429 or code >= 500))
