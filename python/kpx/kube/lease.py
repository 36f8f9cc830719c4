"""One active replica of several, by a Lease, as client-go's leaderelection does it."""

import json
import logging
import random as random_module
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Final

from kpx.errors import ClusterUnreadable
from kpx.kube.client import Client
from kpx.kube.refusal import AlreadyExists, Conflict, NotFound
from kpx.kube.resources import LEASES

__all__ = ["LeaderElection"]

_JITTER: Final = 1.2
"""Attempts to get the lease are spread by up to so many retry periods (client-go)."""

_log = logging.getLogger(__name__)


class LeaderElection:
    """Runs something while, and only while, this process holds a Lease.

    Whether another's lease has run out is judged by our own clock, from when we saw it change, so
    that clocks need not agree. The holder is told to stop once it could not renew for the renew
    deadline, which leaves it the rest of the lease's duration to do so.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        lease_duration: float = 15.0,
        renew_deadline: float = 10.0,
        retry_period: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        random: Callable[[], float] = random_module.random,
    ) -> None:
        """Asks for nothing yet.

        Args:
            client: Where the Lease is.
            namespace: Its namespace.
            name: Its name.
            identity: Who we are: no other process must say the same.
            lease_duration: Seconds for which others keep away from a lease that is not renewed.
            renew_deadline: Seconds after which a holder that cannot renew stops.
            retry_period: Seconds between attempts.
            clock: Seconds, from any start.
            now: The time that is written into the Lease, for people.
            random: A number from 0 to 1.

        Raises:
            ValueError: A holder would not stop in time, or would not try to renew.
        """
        if not retry_period * _JITTER < renew_deadline < lease_duration:
            raise ValueError("the retry period must be shorter than the deadline, than the lease")
        self._client = client.with_read_timeout(renew_deadline)
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._lease_duration = lease_duration
        self._renew_deadline = renew_deadline
        self._retry_period = retry_period
        self._clock = clock
        self._now = now
        self._random = random
        self._seen: dict[str, Any] | None = None
        self._seen_at = 0.0
        self._renewed_at = 0.0
        self.holds = threading.Event()

    def run(self, stop: threading.Event, lead: Callable[[threading.Event], None]) -> None:
        """Waits for the lease, leads, and waits again if it is lost, until `stop` is set.

        `lead` runs in a thread of its own and must return soon after the event it is given is set.
        The lease is given back once it has returned. If it raises, the lease is given back, too,
        and the error is raised here.
        """
        while not stop.is_set():
            if not self._acquire(stop):
                return
            _log.info("leading: `%s` holds the lease %s", self._identity, self._label)
            self._lead(stop, lead)

    def _acquire(self, stop: threading.Event) -> bool:
        while not stop.is_set():
            if self._try():
                return True
            stop.wait(self._retry_period * (1 + self._random() * _JITTER))
        return False

    def _lead(self, stop: threading.Event, lead: Callable[[threading.Event], None]) -> None:
        lost = threading.Event()
        failures: list[BaseException] = []

        def work() -> None:
            try:
                lead(lost)
            except BaseException as failure:
                failures.append(failure)
            finally:
                lost.set()

        self.holds.set()
        worker = threading.Thread(target=work, name="leader")
        watchdog = threading.Thread(target=self._watch_deadline, args=(stop, lost), daemon=True)
        worker.start()
        watchdog.start()
        renewer = threading.Thread(target=self._renew, args=(lost,), daemon=True)
        renewer.start()
        lost.wait()
        self.holds.clear()
        worker.join()
        watchdog.join()
        if stop.is_set() or failures:
            # A renewal under way would take the lease back after it was given away.
            renewer.join(self._renew_deadline)
            self._release()
        if failures:
            raise failures[0]

    def _watch_deadline(self, stop: threading.Event, lost: threading.Event) -> None:
        """Ends leading in time, even while a request to renew hangs."""
        while not lost.is_set():
            left = self._renewed_at + self._renew_deadline - self._clock()
            if left <= 0:
                _log.error("the lease %s was not renewed in time: stopping", self._label)
                lost.set()
            elif stop.wait(min(left, 0.1)):
                lost.set()

    def _renew(self, lost: threading.Event) -> None:
        while not lost.wait(self._retry_period):
            if not self._try(lost) and self._is_anothers():
                _log.error("the lease %s was taken by another: stopping", self._label)
                lost.set()

    def _is_anothers(self) -> bool:
        holder = (self._seen or {}).get("holderIdentity")
        return bool(holder) and holder != self._identity

    def _try(self, lost: threading.Event | None = None) -> bool:
        """Takes or renews the lease, if it may be."""
        at = self._clock()
        try:
            lease = json.loads(self._client.get(LEASES, self._namespace, self._name))
        except NotFound:
            lease = None
        except (ClusterUnreadable, ValueError) as failure:
            _log.warning("%s", failure)
            return False
        spec = (lease or {}).get("spec") or {}
        if spec != self._seen:
            self._seen, self._seen_at = spec, self._clock()
        holder = spec.get("holderIdentity")
        is_ours = holder == self._identity
        duration = spec.get("leaseDurationSeconds") or self._lease_duration
        if holder and not is_ours and self._seen_at + duration > self._clock():
            return False
        if lost is not None and lost.is_set():
            return False
        return self._write(lease, self._record(spec, is_ours), at)

    def _record(self, spec: dict[str, Any], is_ours: bool) -> dict[str, Any]:
        now = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        transitions = spec.get("leaseTransitions") or 0
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._lease_duration)),
            "acquireTime": spec.get("acquireTime", now) if is_ours else now,
            "renewTime": now,
            "leaseTransitions": transitions if is_ours or not spec else transitions + 1,
        }

    def _write(self, lease: dict[str, Any] | None, spec: dict[str, Any], at: float) -> bool:
        try:
            if lease is None:
                metadata = {"namespace": self._namespace, "name": self._name}
                body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
                whole = {**body, "metadata": metadata, "spec": spec}
                self._client.create(LEASES, self._namespace, self._name, whole)
            else:
                whole = {**lease, "spec": spec}
                self._client.update(LEASES, self._namespace, self._name, whole)
        except (AlreadyExists, Conflict):
            return False
        except ClusterUnreadable as failure:
            _log.warning("%s", failure)
            return False
        self._seen, self._seen_at = spec, self._clock()
        # From before the request: others count from when they see it, which is later.
        self._renewed_at = at
        return True

    def _release(self) -> None:
        """Gives the lease back, so that another need not wait for its end."""
        try:
            lease = json.loads(self._client.get(LEASES, self._namespace, self._name))
            if lease["spec"].get("holderIdentity") != self._identity:
                return
            spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
            self._client.update(LEASES, self._namespace, self._name, {**lease, "spec": spec})
        except (ClusterUnreadable, ValueError, LookupError) as failure:
            _log.warning("the lease %s runs out by itself: %s", self._label, failure)

    @property
    def _label(self) -> str:
        return f"`{self._namespace}/{self._name}`"
