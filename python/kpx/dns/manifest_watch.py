"""Manifests that are read again whenever they change."""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

from kpx._core import DnsStore, Rejection
from kpx.agent.manifests import POLL_SECONDS, signature
from kpx.errors import KpxError
from kpx.sources import Loaded, Manifests, Rejected

__all__ = ["ManifestWatcher"]

_KINDS: Final = ("Service", "EndpointSlice", "Endpoints")

_log = logging.getLogger(__name__)


class ManifestWatcher(AbstractContextManager["ManifestWatcher"]):
    """Keeps names as some manifests have them, while the context is open.

    Manifests that cannot be read change nothing: what they said last stays.
    """

    def __init__(
        self,
        store: DnsStore,
        fresh: Callable[[], DnsStore],
        paths: Sequence[str],
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Reads nothing yet: what is there now has been read.

        Args:
            store: What has been fed with it.
            fresh: Makes a store that knows nothing, to try manifests on.
            paths: Files and directories.
            on_change: Called after each change.
        """
        self._store = store
        self._fresh = fresh
        self._paths = paths
        self._on_change = on_change
        self._stop = threading.Event()
        self._seen = signature(paths)
        self.failures = 0
        """How often manifests that had changed could not be read."""
        self._thread = threading.Thread(target=self._run, name="manifests", daemon=True)

    def __enter__(self) -> "ManifestWatcher":
        """Starts to look for changes."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops; the names stay as they are."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        # What comes from stdin comes once.
        while "-" not in self._paths and not self._stop.wait(POLL_SECONDS):
            found = signature(self._paths)
            if found == self._seen:
                continue
            self._seen = found
            try:
                loaded = self._read()
            except KpxError as failure:
                self.failures += 1
                _log.error("%s; what was read before stays", failure)
                continue
            rejected: list[Rejection | Rejected] = [*loaded.rejected, *self._store.rejections()]
            for one in rejected:
                _log.warning("rejected: %s `%s`: %s", one.kind, one.name, one.reason)
            self._on_change()

    def _read(self) -> Loaded:
        manifests = Manifests(self._paths)
        # All of it can be read, or none of it counts.
        manifests.load(self._fresh())
        for kind in _KINDS:
            self._store.begin_replace(kind)
        try:
            return manifests.load(self._store)
        finally:
            for kind in _KINDS:
                self._store.end_replace(kind)
