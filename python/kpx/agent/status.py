"""What the agent knows of its own work, for `kpx status`: served as JSON beside the metrics."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Any, Final

from kpx._core import SyncReport, __version__
from kpx.agent.cadence import Work
from kpx.agent.health import Health
from kpx.agent.omission import Omission
from kpx.kube import ReflectorStatus

__all__ = ["Status"]

_MOST_OBJECTS: Final = 100
"""How many objects that are left out are named; of all others there is the number."""


class Status:
    """Notes what happens. Several threads may use it."""

    def __init__(
        self, node_name: str, health: Health, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Nothing has happened yet.

        Args:
            node_name: The node that is programmed.
            health: Knows since when a change waits.
            clock: Seconds since the epoch.
        """
        self._health = health
        self._clock = clock
        self._lock = threading.Lock()
        self._values: dict[str, Any] = {
            "version": __version__,
            "node": node_name,
            "process": os.getpid(),
            "startedAt": _time(clock()),
            "lastSync": None,
            "lastFailure": None,
            "syncs": 0,
            "failures": 0,
            "repaired": 0,
            "leftOut": {"count": 0, "objects": []},
        }
        self._watched: dict[str, ReflectorStatus] = {}

    def synced(self, work: Work, report: SyncReport, seconds: float) -> None:
        """Programming succeeded."""
        with self._lock:
            self._values["syncs"] += 1
            self._values["repaired"] += report.repairs
            self._values["lastSync"] = {
                "time": _time(self._clock()),
                "work": work.value,
                "seconds": round(seconds, 6),
                "operations": report.operations,
                "services": report.services,
                "endpoints": report.endpoints,
            }

    def failed(self, reason: str) -> None:
        """Programming failed."""
        with self._lock:
            self._values["failures"] += 1
            self._values["lastFailure"] = {"time": _time(self._clock()), "reason": reason}

    def left_out(self, omissions: Iterable[Omission]) -> None:
        """What is not programmed as it says, all of it."""
        found = sorted(omissions)
        objects = [
            {
                "kind": one.kind,
                "name": one.name,
                "reason": one.reason,
                "refused": one.is_refused,
                "whole": one.is_whole,
            }
            for one in found[:_MOST_OBJECTS]
        ]
        with self._lock:
            self._values["leftOut"] = {"count": len(found), "objects": objects}

    def watch(self, resource: str, status: ReflectorStatus) -> None:
        """Shows how the reading of a resource is doing."""
        with self._lock:
            self._watched[resource] = status

    def page(self) -> bytes:
        """All of it, as a JSON object."""
        queued = self._health.queued_at
        with self._lock:
            values = {
                **self._values,
                "pendingSince": _time(queued) if queued is not None else None,
                "watches": {
                    name: {
                        "silentSeconds": _silence(status),
                        "lists": status.lists,
                        "watches": status.watches,
                        "failures": status.failures,
                        "invalidLines": status.invalid_lines,
                    }
                    for name, status in sorted(self._watched.items())
                },
            }
            return json.dumps(values).encode()


def _silence(status: ReflectorStatus) -> float | None:
    if status.last_contact is None:
        return None
    return round(time.monotonic() - status.last_contact, 3)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
