"""Puts the controller together, and runs it until it is told to stop."""

import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from prometheus_client import start_http_server

from kpx.controller.controller import Controller, Scope
from kpx.endpointslices import MANAGED_BY_LABEL
from kpx.errors import ClusterUnreadable, ConfigurationInvalid, ListenFailed
from kpx.kube import (
    Client,
    EventRecorder,
    LeaderElection,
    Reflector,
    RequestRefused,
    Resource,
    Sink,
)
from kpx.kube.resources import ENDPOINT_SLICES, ENDPOINTS, NODES, PODS, SERVICES
from kpx.kube.transport import Interruption

__all__ = ["ControllerSettings", "run"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ControllerSettings:
    """How the controller runs; the defaults are upstream's."""

    scope: Scope = field(default_factory=Scope)
    workers: int = 5
    """How many Services are worked on at once."""
    metrics_address: tuple[str, int] | None = ("127.0.0.1", 10259)
    """Where /metrics is served; `None` for nowhere."""
    lease_namespace: str = "kube-system"
    lease_name: str = "kpx-controller"
    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0


def run(client: Client, settings: ControllerSettings, stop: threading.Event) -> Controller:
    """Watches, and writes while it holds the Lease, until `stop` is set.

    A write under way when the Lease is lost is broken off; none begins after that.

    Args:
        client: The API server, and how often may be written to it.
        settings: How to run.
        stop: Set from another thread, or by a signal.

    Raises:
        ConfigurationInvalid: The API server does not understand the selector of Services.
        ListenFailed: The address for metrics is taken.
    """
    _require_selector(client, settings.scope.service_selector)
    identity = f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4()}"
    recorder = EventRecorder(client, "kpx-controller", identity)
    controller = Controller(settings.scope, recorder)
    telling = threading.Thread(target=recorder.run, args=(stop,), name="events", daemon=True)
    with _metrics_served(controller, settings.metrics_address):
        telling.start()
        _watch(client, settings, controller, identity, stop)
    return controller


def _require_selector(client: Client, selector: str) -> None:
    """Has the API server read the selector, so that a wrong one is not tried again for ever."""
    if not selector:
        return
    services = SERVICES.selected(labels=selector)
    try:
        for _part in client.list_in_parts(services, {**services.selectors, "limit": "1"}):
            pass
    except RequestRefused as refusal:
        if refusal.status == 400:
            raise ConfigurationInvalid(
                f"`{selector}` is no selector: {refusal.message}",
                "write labels as `kubectl get -l` takes them",
            ) from refusal
        _log.warning("%s", refusal)
    except ClusterUnreadable as failure:
        # The API server may come later.
        _log.warning("%s", failure)


@contextmanager
def _metrics_served(controller: Controller, address: tuple[str, int] | None) -> Iterator[None]:
    if address is None:
        yield
        return
    host, port = address
    try:
        server, thread = start_http_server(port, host, controller.metrics.registry)
    except OSError as failure:
        raise ListenFailed(f"cannot listen on `{host}:{port}`: {failure.strerror}") from failure
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _watch(
    client: Client,
    settings: ControllerSettings,
    controller: Controller,
    identity: str,
    stop: threading.Event,
) -> None:
    def managed_by(name: str) -> Resource:
        return ENDPOINT_SLICES.selected(labels=f"{MANAGED_BY_LABEL}={name}")

    scope, state, mirrored = settings.scope, controller.state, controller.mirrored_slices
    watched: list[tuple[Resource, Sink]] = [
        (SERVICES.selected(labels=scope.service_selector), state.services),
        (NODES, state.nodes),
        (PODS, state.pods),
        (ENDPOINTS, state.endpoints),
        (managed_by(scope.policy.managed_by), controller.pod_slices.slices.cache),
        (managed_by(mirrored.managed_by), mirrored.slices.cache),
    ]
    reflectors = [
        Reflector(client, resource, sink, on_change=lambda: None) for resource, sink in watched
    ]
    threads = [
        threading.Thread(target=reflector.run, args=(stop,), name=reflector.resource.name)
        for reflector in reflectors
    ]
    for thread in threads:
        thread.start()
    try:
        for reflector in reflectors:
            while not stop.is_set() and not reflector.synced.wait(0.1):
                pass
        if not stop.is_set():
            _elect(client, settings, controller, identity, stop)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _elect(
    client: Client,
    settings: ControllerSettings,
    controller: Controller,
    identity: str,
    stop: threading.Event,
) -> None:
    election = LeaderElection(
        client,
        settings.lease_namespace,
        settings.lease_name,
        identity,
        lease_duration=settings.lease_duration,
        renew_deadline=settings.renew_deadline,
        retry_period=settings.retry_period,
    )

    def lead(lost: threading.Event) -> None:
        interruption = Interruption()
        writer = client.interruptible(interruption)

        def break_off() -> None:
            lost.wait()
            interruption.set()

        breaker = threading.Thread(target=break_off, name="breaker")
        breaker.start()
        controller.lead(writer, lost, settings.workers)
        breaker.join()

    election.run(stop, lead)
