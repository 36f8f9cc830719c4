"""What load balancers ask about single Services: `spec.healthCheckNodePort`.

Bodies and headers are those of kube-proxy (`pkg/proxy/healthcheck/service_health.go`).
"""

import json
import logging
from collections.abc import Sequence
from contextlib import ExitStack

from kpx._core import HealthCheck
from kpx.agent.health import Health
from kpx.agent.http import Answer, HttpServer
from kpx.errors import ListenFailed

__all__ = ["HealthCheckServers"]

_log = logging.getLogger(__name__)


class HealthCheckServers:
    """One server for each Service that has such a port, while the context is open."""

    def __init__(self, health: Health) -> None:
        """Listens nowhere yet."""
        self._health = health
        self._checks: dict[int, HealthCheck] = {}
        self._servers: dict[int, ExitStack] = {}
        self._refused: dict[int, str] = {}

    def __enter__(self) -> "HealthCheckServers":
        """Does nothing: servers start when there is something to serve."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stops to listen."""
        self.serve(())

    def serve(self, checks: Sequence[HealthCheck]) -> None:
        """Serves these from now on, and nothing else.

        A port that cannot be listened on is named once and tried again with the next call; the
        others are served.
        """
        self._checks = {check.port: check for check in checks}
        for port in self._servers.keys() - self._checks.keys():
            self._servers.pop(port).close()
        for port in self._checks.keys() - self._servers.keys():
            self._start(port)

    def _start(self, port: int) -> None:
        server = ExitStack()
        try:
            server.enter_context(HttpServer(("0.0.0.0", port), {"": lambda: self._answer(port)}))
        except ListenFailed as failure:
            if self._refused.get(port) != failure.message:
                check = self._checks[port]
                _log.warning("health check of `%s/%s`: %s", check.namespace, check.name, failure)
                self._refused[port] = failure.message
            return
        self._refused.pop(port, None)
        self._servers[port] = server

    def _answer(self, port: int) -> Answer:
        check = self._checks.get(port)
        if check is None:
            return Answer(503, b"{}", "application/json")
        is_healthy = self._health.is_healthy
        body = {
            "service": {"namespace": check.namespace, "name": check.name},
            "localEndpoints": check.local_endpoints,
            "serviceProxyHealthy": is_healthy,
        }
        return Answer(
            200 if check.local_endpoints and is_healthy else 503,
            json.dumps(body).encode(),
            "application/json",
            {"X-Load-Balancing-Endpoint-Weight": str(check.local_endpoints)},
        )
