"""Puts the agent together, and runs it until a signal ends it."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
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
from kpx.agent.reload import Configuration, ConfigurationFile
from kpx.agent.settings import AgentSettings
from kpx.agent.status import Status
from kpx.config import Settings
from kpx.errors import KpxError
from kpx.kube import Client, EventRecorder, load_configuration
from kpx.sources import Cluster, Manifests, Source

__all__ = ["run"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_STOP_SECONDS = 2.0
"""How long threads may take to end."""

_log = logging.getLogger(__name__)


class Reader(Protocol):
    """What follows a source."""

    def threads(self, stop: threading.Event) -> list[tuple[str, Callable[[], None]]]:
        """What is to run, each under its name in a thread of its own, until `stop` is set."""

    def read_again(self) -> None:
        """Reads everything again soon."""

    def reconfigure(self, settings: Settings) -> None:
        """Programs the same with other settings.

        Raises:
            ConfigurationInvalid: They do not make sense; those in use stay.
        """


def run(
    settings: Settings,
    agent: AgentSettings,
    source: Source,
    *,
    file: Path | None = None,
    read_file: Callable[[], Configuration] | None = None,
) -> None:
    """Keeps the node as a source says until SIGTERM or SIGINT; the rules stay behind.

    SIGHUP reads manifests again. If a configuration file is named, `read_file` reads it whenever it
    changes.

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
            _run(settings, agent, source, stack, file, read_file)
        if agent.cleanup_on_exit:
            for thing in cleanup():
                _log.info("deleted %s", thing)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(
    settings: Settings,
    agent: AgentSettings,
    source: Source,
    stack: ExitStack,
    file: Path | None,
    read_file: Callable[[], Configuration] | None,
) -> None:
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

    def reconfigure(wanted: Configuration) -> None:
        changed_settings, changed_agent = wanted
        reader.reconfigure(changed_settings)
        health.timeout = 2 * changed_agent.sync_period
        pipeline.pace(changed_agent.min_sync_period, changed_agent.sync_period)
        sysctls.apply(changed_agent.conntrack)

    bodies = [("pipeline", pipeline.run), ("flusher", flusher.run), *reader.threads(stop)]
    if file and read_file:
        follower = ConfigurationFile(file, read_file, reconfigure, (settings, agent))
        bodies.append(("configuration", lambda: follower.run(stop)))
    if agent.take_over:
        excluded = settings.ipvs_exclude_cidrs
        bodies.append(("take-over", lambda: _take_over(programmed, pipeline, excluded)))
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


def _take_over(programmed: threading.Event, pipeline: Pipeline, excluded: Iterable[str]) -> None:
    """Waits until what kube-proxy did is done by us, and takes over what it left."""
    programmed.wait()
    try:
        lines = kube_proxy.take_over(excluded)
        if lines:
            pipeline.compare()
        for line in lines:
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
