"""Whether the node is programmed in time, as kube-proxy tells it (`pkg/proxy/healthcheck`)."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, Final

__all__ = ["Health", "is_eligible"]

_BEING_DELETED: Final = "ToBeDeletedByClusterAutoscaler"
"""The taint that the cluster autoscaler sets before it deletes a node."""


def is_eligible(node: Mapping[str, Any]) -> bool:
    """Whether a load balancer may choose a Node: it is not being deleted, nor about to be."""
    metadata, spec = node.get("metadata"), node.get("spec")
    if isinstance(metadata, dict) and metadata.get("deletionTimestamp"):
        return False
    taints = spec.get("taints") if isinstance(spec, dict) else None
    return not any(
        isinstance(taint, dict) and taint.get("key") == _BEING_DELETED for taint in taints or ()
    )


class Health:
    """What /healthz and /livez answer. Several threads may use it.

    The proxy is healthy unless a change has waited for longer than `timeout` seconds.
    """

    def __init__(self, timeout: float, *, clock: Callable[[], float] = time.time) -> None:
        """Healthy, and the node eligible, until told otherwise."""
        self.timeout = timeout
        """How many seconds a change may wait."""
        self._clock = clock
        self._lock = threading.Lock()
        self._updated: float | None = None
        self._queued: float | None = None
        self._is_eligible = True

    def queued(self) -> None:
        """A change waits to be programmed."""
        with self._lock:
            if self._queued is None:
                self._queued = self._clock()

    def updated(self) -> None:
        """Everything is programmed."""
        with self._lock:
            self._queued = None
            self._updated = self._clock()

    def node(self, eligible: bool) -> None:
        """Says whether load balancers may choose this node; see `is_eligible`."""
        with self._lock:
            self._is_eligible = eligible

    @property
    def queued_at(self) -> float | None:
        """Since when a change waits to be programmed, in seconds since the epoch, if one does."""
        with self._lock:
            return self._queued

    @property
    def is_healthy(self) -> bool:
        """Whether no change has waited for too long, whatever becomes of the node."""
        return self.livez()[0] == 200

    def healthz(self) -> tuple[int, bytes]:
        """The status and the body of /healthz."""
        return self._answer(with_node=True)

    def livez(self) -> tuple[int, bytes]:
        """The status and the body of /livez, which does not depend on the node."""
        return self._answer(with_node=False)

    def _answer(self, *, with_node: bool) -> tuple[int, bytes]:
        with self._lock:
            now = self._clock()
            # As with kube-proxy, what never was programmed is starting up, not unhealthy.
            is_late = (
                self._updated is not None
                and self._queued is not None
                and now - self._queued >= self.timeout
            )
            is_healthy = not is_late and (self._is_eligible or not with_node)
            updated = now if is_healthy else (self._updated or 0.0)
            body: dict[str, Any] = {"lastUpdated": _time(updated), "currentTime": _time(now)}
            if with_node:
                body["nodeEligible"] = self._is_eligible
        return 200 if is_healthy else 503, json.dumps(body).encode()


def _time(seconds: float) -> str:
    """A time as Go prints it, which is what kube-proxy's body holds."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M:%S.%f} +0000 UTC"
