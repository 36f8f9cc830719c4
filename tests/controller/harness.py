"""The whole controller against the fake API server, for tests of what it does there."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes.client import Configuration

from fakes.apiserver import ENDPOINT_SLICES, EVENTS, PODS, ApiServer
from kpx.controller import Controller, ControllerSettings, Scope, run
from kpx.endpointslices import Policy
from kpx.kube import Client
from objects import pod

Object = dict[str, Any]

SETTINGS = ControllerSettings(
    scope=Scope(policy=Policy(max_endpoints_per_slice=4)),
    metrics_address=None,
    lease_duration=3.0,
    renew_deadline=2.0,
    retry_period=0.2,
)


def eventually(condition: Callable[[], Any], within: float = 40.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@contextmanager
def running(
    server: ApiServer, settings: ControllerSettings = SETTINGS
) -> Iterator[list[Controller]]:
    """Runs a controller while the context is open; it is in the list once it has ended."""
    stop = threading.Event()
    failures: list[BaseException] = []
    ended: list[Controller] = []

    def work() -> None:
        try:
            ended.append(run(Client(Configuration(host=server.url)), settings, stop))
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield ended
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive(), "it does not stop"
    assert failures == []


def published(server: ApiServer, name: str = "web") -> list[str]:
    """The names of the Pods in all slices of a Service; twice if it is in two."""
    return sorted(
        endpoint["targetRef"]["name"]
        for one in server.get(ENDPOINT_SLICES)
        if one["metadata"]["labels"]["kubernetes.io/service-name"] == name
        for endpoint in one["endpoints"]
    )


def writes(server: ApiServer) -> int:
    return sum(
        request.verb in ("create", "update", "delete")
        for request in server.requests
        if request.path.endswith("/endpointslices") or "/endpointslices/" in request.path
    )


def put_pods(server: ApiServer, *numbers: int, **parts: Any) -> None:
    for number in numbers:
        server.put(PODS, pod(f"p{number}", f"10.0.0.{number}", **parts))


def events(server: ApiServer) -> set[tuple[str, str, str]]:
    """The kind, the name and the reason of every Event."""
    return {
        (one["regarding"]["kind"], one["regarding"]["name"], one["reason"])
        for one in server.get(EVENTS)
    }
