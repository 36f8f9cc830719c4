"""Manifests that are read again whenever they change."""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from kpx._core import Proxier
from kpx.config import Settings
from kpx.errors import KpxError
from kpx.sources import Manifests

__all__ = ["POLL_SECONDS", "Follower", "Signature", "signature"]

POLL_SECONDS: Final = 1.0
"""How often manifests are looked at."""

_log = logging.getLogger(__name__)

Signature = tuple[tuple[str, int, int, int], ...]
"""Of each file that is there: its path, time of change in ns, size and inode."""


class Follower:
    """Reads manifests, and hands on what they say, now and after each change.

    Manifests that cannot be read change nothing: what they said last stays programmed.
    """

    def __init__(
        self, settings: Settings, paths: Sequence[str], provide: Callable[[Proxier], None]
    ) -> None:
        """Reads nothing yet.

        Args:
            settings: How the node is programmed.
            paths: Files and directories.
            provide: Takes in what has been read as a whole.
        """
        self._settings = settings
        self._paths = paths
        self._provide = provide
        self._seen: Signature | None = None

    def read(self) -> None:
        """Reads everything now.

        Raises:
            KpxError: It cannot be read.
        """
        self._seen = signature(self._paths)
        proxier = Proxier(self._settings.to_core())
        loaded = Manifests(self._paths).load(proxier)
        for rejected in loaded.rejected:
            _log.warning("rejected: %s `%s`: %s", rejected.kind, rejected.name, rejected.reason)
        self._provide(proxier)

    def read_again(self) -> None:
        """Lets `run` read everything the next time it looks, changed or not."""
        self._seen = None

    def reconfigure(self, settings: Settings) -> None:
        """Reads everything again, for other settings.

        Raises:
            ConfigurationInvalid: They do not make sense; those in use stay.
        """
        Proxier(settings.to_core())
        self._settings = settings
        self.read_again()

    def threads(self, stop: threading.Event) -> list[tuple[str, Callable[[], None]]]:
        """What is to run in a thread until `stop` is set."""
        return [("manifests", lambda: self.run(stop))]

    def run(self, stop: threading.Event) -> None:
        """Looks for changes once a second until `stop` is set."""
        while not stop.wait(POLL_SECONDS):
            if signature(self._paths) == self._seen:
                continue
            try:
                self.read()
            except KpxError as failure:
                _log.error("%s; what was read before stays programmed", failure)


def signature(paths: Sequence[str]) -> Signature:
    """What changes when a file is written, replaced, added or removed."""
    files: list[Path] = []
    for path in map(Path, paths):
        files.append(path)
        if path.is_dir():
            try:
                files += sorted(path.iterdir())
            except OSError:
                continue
    return tuple(found for file in files if (found := _stat(file)))


def _stat(file: Path) -> tuple[str, int, int, int] | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return str(file), status.st_mtime_ns, status.st_size, status.st_ino
