"""A cluster that is watched: reflectors feed the names."""

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from kpx._core import DnsStore
from kpx.errors import ClusterUnreadable
from kpx.kube import Client, Reflector, load_configuration
from kpx.kube.resources import ENDPOINT_SLICES, SERVICES

__all__ = ["Omissions", "Watcher"]

_log = logging.getLogger(__name__)

_STOP_SECONDS: Final = 2.0
"""How long threads may take to end."""


class Omissions:
    """Logs every object, or part of one, that is left out, once for as long as it is."""

    def __init__(self, store: DnsStore) -> None:
        """Nothing is left out yet."""
        self._store = store
        self._lock = threading.Lock()
        self._told: set[tuple[str, str, str]] = set()

    def tell(self) -> None:
        """Logs what is new. May be called from any thread."""
        with self._lock:
            rejected = {(one.kind, one.name, one.reason) for one in self._store.rejections()}
            for kind, name, reason in sorted(rejected - self._told):
                _log.warning("rejected: %s `%s`: %s", kind, name, reason)
            self._told = rejected


class Watcher(AbstractContextManager["Watcher"]):
    """Keeps names as a cluster has them, while the context is open.

    The names are complete once all Services and all EndpointSlices are known; until then, what is
    not known is answered with SERVFAIL.
    """

    def __init__(
        self, store: DnsStore, client: Client, on_change: Callable[[], None] | None = None
    ) -> None:
        """Connects nowhere yet.

        Args:
            store: What is fed.
            client: How the API server is reached.
            on_change: Called after changes, once everything is known.
        """
        self._store = store
        self._on_change = on_change
        self._stop = threading.Event()
        self.reflectors = [
            Reflector(client, resource, store, on_change=self._changed)
            for resource in (SERVICES, ENDPOINT_SLICES)
        ]
        self._threads = [
            threading.Thread(
                target=one.run, args=(self._stop,), name=one.resource.name, daemon=True
            )
            for one in self.reflectors
        ]

    @classmethod
    def of(
        cls,
        store: DnsStore,
        kubeconfig: str | None,
        context: str | None,
        on_change: Callable[[], None] | None = None,
    ) -> "Watcher":
        """Watches the cluster of a kubeconfig, or the one this Pod runs in.

        Raises:
            ClusterUnreadable: There is no such configuration.
        """
        return cls(store, Client(load_configuration(kubeconfig, context)), on_change)

    def __enter__(self) -> "Watcher":
        """Starts to watch."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops; the names stay as they are."""
        self._stop.set()
        for thread in self._threads:
            thread.join(_STOP_SECONDS)

    @property
    def is_complete(self) -> bool:
        """Whether everything is known."""
        return all(one.synced.is_set() for one in self.reflectors)

    def wait(self, seconds: float) -> None:
        """Waits until everything is known.

        Raises:
            ClusterUnreadable: It took longer.
        """
        for one in self.reflectors:
            if not one.synced.wait(seconds):
                raise ClusterUnreadable(
                    f"the {one.resource.name} of the cluster did not come within {seconds:.0f} s",
                    one.status.last_error,
                )
        self._store.complete()

    def _changed(self) -> None:
        if not self.is_complete:
            return
        self._store.complete()
        if self._on_change:
            self._on_change()
