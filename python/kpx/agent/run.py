"""Puts the agent together, and runs it until a signal ends it."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol

from kpx import inquiry, ipvs, kube_proxy
from kpx._core import cleanup
from kpx.agent import events, sysctls
from kpx.agent.cadence import Cadence
from kpx.agent.cluster import Watcher
from kpx.agent.flows import Flusher
from kpx.agent.health import Health
from kpx.agent.health_checks import HealthCheckServers
from kpx.agent.http import Answer, HttpServer
from kpx.agent.lock import Lock
from kpx.agent.manifests import Follower
from kpx.agent.metrics import Metrics
from kpx.agent.omission import Omission
from kpx.agent.pipeline import Pipeline
from kpx.agent.status import Status
from kpx.config import ConntrackSettings, Settings
from kpx.errors import KpxError
from kpx.kube import Client, EventRecorder, load_configuration
from kpx.sources import Cluster, Manifests, Source

__all__ = ["AgentSettings", "run"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_STOP_SECONDS = 2.0
"""How long threads may take to end."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AgentSettings:
    """How the agent runs; the defaults are kube-proxy's where it has such a setting."""

    healthz_address: tuple[str, int] | None = ("0.0.0.0", 10256)
    """Where /healthz and /livez are served; `None` for nowhere."""
    metrics_address: tuple[str, int] | None = ("127.0.0.1", 10249)
    """Where /metrics, /proxyMode and /statusz are served; `None` for nowhere."""
    min_sync_period: float = 0.0
    """The least seconds between two commits."""
    sync_period: float = 30.0
    """The most seconds between two attempts; a change may wait for twice that to be healthy."""
    cleanup_on_exit: bool = False
    """Whether to delete what is programmed when the agent is stopped."""
    conntrack: ConntrackSettings = field(default_factory=ConntrackSettings)
    take_over: bool = False
    """Whether to remove what kube-proxy left, once the node is programmed."""


class Reader(Protocol):
    """What follows a source."""

    def threads(self, stop: threading.Event) -> list[tuple[str, Callable[[], None]]]:
        """What is to run, each under its name in a thread of its own, until `stop` is set."""

    def read_again(self) -> None:
        """Reads everything again soon."""


def run(settings: Settings, agent: AgentSettings, source: Source) -> None:
    """Keeps the node as a source says until SIGTERM or SIGINT; the rules stay behind.

    SIGHUP reads manifests again.

    Raises:
        AgentRunning: Another agent programs this node.
        TakeOverFailed: It is to take over from a kube-proxy that still runs.
        ListenFailed: An address is taken.
        KpxError: The manifests cannot be read, or there is no cluster to connect to.
    """
    # They are waited for, so that no handler runs in the middle of anything; threads inherit it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        if agent.take_over:
            kube_proxy.refuse_beside()
        with ExitStack() as stack:
            stack.enter_context(Lock())
            ipvs.prepare(settings)
            _run(settings, agent, source, stack)
        if agent.cleanup_on_exit:
            for thing in cleanup():
                _log.info("deleted %s", thing)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(settings: Settings, agent: AgentSettings, source: Source, stack: ExitStack) -> None:
    health = Health(2 * agent.sync_period)
    metrics = Metrics()
    status = Status(settings.node_name, health)
    for server in _servers(settings, agent, health, metrics, status):
        stack.enter_context(server)
    cadence = Cadence(min_period=agent.min_sync_period, sync_period=agent.sync_period)
    health_checks = stack.enter_context(HealthCheckServers(health))
    client = _client(source)
    recorder = EventRecorder(client, "kpx", settings.node_name) if client else None

    def tell(omissions: Sequence[Omission]) -> None:
        if recorder:
            events.record(recorder, omissions)

    flusher = Flusher(metrics)
    programmed = threading.Event()
    pipeline = Pipeline(
        cadence,
        health,
        metrics,
        status,
        on_health_checks=health_checks.serve,
        on_omissions=tell,
        on_programmed=programmed.set,
        on_stale_flows=flusher.submit,
    )
    reader = _reader(settings, source, client, pipeline, health, metrics, status)
    stop = threading.Event()
    died: list[BaseException] = []
    main = threading.get_ident()

    def guarded(body: Callable[[], None]) -> None:
        # A thread that dies of a defect must take the agent with it, to be started anew.
        try:
            body()
        except BaseException as failure:
            died.append(failure)
            signal.pthread_kill(main, signal.SIGTERM)

    bodies = [("pipeline", pipeline.run), ("flusher", flusher.run), *reader.threads(stop)]
    if agent.take_over:
        bodies.append(("take-over", lambda: _take_over(programmed)))
    if recorder:
        bodies.append(("events", lambda: recorder.run(stop)))
    threads = [
        threading.Thread(target=guarded, args=(body,), name=name, daemon=True)
        for name, body in bodies
    ]
    sysctls.apply(agent.conntrack)
    for thread in threads:
        thread.start()
    _log.info("started on node `%s`", settings.node_name)
    while signal.sigwait(_SIGNALS) == signal.SIGHUP:
        reader.read_again()
    stop.set()
    programmed.set()
    pipeline.stop()
    flusher.stop()
    deadline = time.monotonic() + _STOP_SECONDS
    for thread in threads:
        # They are daemons: one that still waits for a connection is left behind.
        thread.join(max(0.0, deadline - time.monotonic()))
    if died:
        raise died[0]
    _log.info("stopped" if agent.cleanup_on_exit else "stopped; what is programmed stays")


def _take_over(programmed: threading.Event) -> None:
    """Waits until what kube-proxy did is done by us, and removes what it left."""
    programmed.wait()
    try:
        for line in kube_proxy.take_over():
            _log.info("taken over: %s", line)
    except KpxError as failure:
        hint = f" ({failure.hint})" if failure.hint else ""
        _log.error("cannot remove what kube-proxy left: %s%s", failure, hint)


def _client(source: Source) -> Client | None:
    match source:
        case Cluster(kubeconfig=kubeconfig, context=context):
            return Client(load_configuration(kubeconfig, context))
    return None


def _reader(
    settings: Settings,
    source: Source,
    client: Client | None,
    pipeline: Pipeline,
    health: Health,
    metrics: Metrics,
    status: Status,
) -> Reader:
    if client:
        return Watcher(settings, client, pipeline, health, metrics, status)
    match source:
        case Manifests(paths):
            follower = Follower(settings, paths, pipeline.provide)
            follower.read()
            return follower
    raise AssertionError(f"`{source}` is no source that can be followed")


def _servers(
    settings: Settings, agent: AgentSettings, health: Health, metrics: Metrics, status: Status
) -> list[HttpServer]:
    def healthz() -> Answer:
        status, body = health.healthz()
        metrics.healthz.labels(str(status)).inc()
        return Answer(status, body, "application/json")

    def livez() -> Answer:
        status, body = health.livez()
        metrics.livez.labels(str(status)).inc()
        return Answer(status, body, "application/json")

    servers = []
    if agent.healthz_address:
        pages = {"/healthz": healthz, "/livez": livez}
        servers.append(HttpServer(agent.healthz_address, pages))
    if agent.metrics_address:
        servers.append(
            HttpServer(
                agent.metrics_address,
                {
                    "/metrics": lambda: Answer(
                        200, metrics.exposition(), "text/plain; version=0.0.4; charset=utf-8"
                    ),
                    "/proxyMode": lambda: Answer(200, settings.backend.value.encode()),
                    "/healthz": lambda: Answer(200, b"ok"),
                    inquiry.PATH: lambda: Answer(200, status.page(), "application/json"),
                },
            )
        )
    return servers
