"""What takes in what is read from the API server."""

from typing import Protocol

__all__ = ["EventReport", "FeedReport", "Sink"]


class FeedReport(Protocol):
    """What a page of a list held; `kpx.FeedReport` is one."""

    @property
    def resource_version(self) -> str | None:
        """The version of the list, from which a watch continues."""

    @property
    def continue_token(self) -> str | None:
        """The token of the next page; `None` on the last."""


class EventReport(Protocol):
    """What a line of a watch said; `kpx.EventReport` is one."""

    @property
    def event(self) -> str:
        """`ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`."""

    @property
    def resource_version(self) -> str | None:
        """The object's version, from which a watch can be resumed."""

    @property
    def initial_events_end(self) -> bool:
        """Whether this is the bookmark that ends a streaming list."""

    @property
    def code(self) -> int | None:
        """Of an `ERROR`, its HTTP status."""

    @property
    def reason(self) -> str | None:
        """Of an `ERROR`, its reason."""

    @property
    def message(self) -> str | None:
        """Of an `ERROR`, what a person is told."""


class Sink(Protocol):
    """What takes in what a reflector reads. Called from the reflector's thread only.

    `kpx.Proxier` is one. `feed` and `feed_event` raise `kpx.errors.DecodeFailed`, and change
    nothing, where the bytes cannot be read.
    """

    def begin_replace(self, kind: str) -> None:
        """A new full list of a kind begins; what is known stays."""

    def feed(self, frame: bytes) -> FeedReport:
        """One page of a list, as it came."""

    def feed_event(self, line: bytes) -> EventReport:
        """One line of a watch, as it came."""

    def end_replace(self, kind: str) -> None:
        """What did not come since `begin_replace` is gone."""
