"""Puts the agent together, and runs it until a signal ends it."""

import logging
import signal
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from kpx._core import cleanup
from kpx.agent.cadence import Cadence
from kpx.agent.health import Health
from kpx.agent.http import Answer, HttpServer
from kpx.agent.lock import Lock
from kpx.agent.manifests import Follower
from kpx.agent.metrics import Metrics
from kpx.agent.pipeline import Pipeline
from kpx.config import Settings

__all__ = ["AgentSettings", "run"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AgentSettings:
    """How the agent runs; the defaults are kube-proxy's where it has such a setting."""

    healthz_address: tuple[str, int] | None = ("0.0.0.0", 10256)
    """Where /healthz and /livez are served; `None` for nowhere."""
    metrics_address: tuple[str, int] | None = ("127.0.0.1", 10249)
    """Where /metrics and /proxyMode are served; `None` for nowhere."""
    min_sync_period: float = 0.0
    """The least seconds between two commits."""
    sync_period: float = 30.0
    """The most seconds between two comparisons of everything with the kernel."""
    cleanup_on_exit: bool = False
    """Whether to delete what is programmed when the agent is stopped."""


def run(settings: Settings, agent: AgentSettings, paths: Sequence[str]) -> None:
    """Keeps the node as manifests say until SIGTERM or SIGINT; the rules stay behind.

    SIGHUP reads the manifests again.

    Raises:
        AgentRunning: Another agent programs this node.
        ListenFailed: An address is taken.
        KpxError: The manifests cannot be read at the start.
    """
    # They are waited for, so that no handler runs in the middle of anything; threads inherit it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        with ExitStack() as stack:
            stack.enter_context(Lock())
            _run(settings, agent, paths, stack)
        if agent.cleanup_on_exit:
            for table in cleanup():
                _log.info("deleted table `%s`", table)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(settings: Settings, agent: AgentSettings, paths: Sequence[str], stack: ExitStack) -> None:
    health = Health(2 * agent.sync_period)
    metrics = Metrics()
    for server in _servers(agent, health, metrics):
        stack.enter_context(server)
    cadence = Cadence(min_period=agent.min_sync_period, sync_period=agent.sync_period)
    pipeline = Pipeline(cadence, health, metrics)
    follower = Follower(settings, paths, pipeline.provide)
    follower.read()
    stop = threading.Event()
    died: list[BaseException] = []
    main = threading.get_ident()

    def guarded(body: str) -> None:
        # A thread that dies of a defect must take the agent with it, to be started anew.
        try:
            pipeline.run() if body == "pipeline" else follower.run(stop)
        except BaseException as failure:
            died.append(failure)
            signal.pthread_kill(main, signal.SIGTERM)

    threads = [
        threading.Thread(target=guarded, args=(name,), name=name, daemon=True)
        for name in ("pipeline", "manifests")
    ]
    for thread in threads:
        thread.start()
    _log.info("started on node `%s`", settings.node_name)
    while signal.sigwait(_SIGNALS) == signal.SIGHUP:
        follower.read_again()
    stop.set()
    pipeline.stop()
    for thread in threads:
        thread.join()
    if died:
        raise died[0]
    _log.info("stopped; what is programmed stays" if not agent.cleanup_on_exit else "stopped")


def _servers(agent: AgentSettings, health: Health, metrics: Metrics) -> list[HttpServer]:
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
                    "/proxyMode": lambda: Answer(200, b"nftables"),
                    "/healthz": lambda: Answer(200, b"ok"),
                },
            )
        )
    return servers
