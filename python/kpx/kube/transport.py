"""HTTP to one API server, over the official client's TLS and proxies."""

import os
import socket
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

if TYPE_CHECKING:
    from kubernetes.client import Configuration
    from urllib3 import BaseHTTPResponse, PoolManager

__all__ = ["Interruption", "Transport"]

CONNECT_TIMEOUT_SECONDS: Final = 5.0
READ_TIMEOUT_SECONDS: Final = 60.0
"""How long the server may stay silent; a page of a list takes well under a second."""

_KEEPALIVE: Final = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
_USER_TIMEOUT_MILLISECONDS: Final = 30_000
"""After how long a peer that acknowledges nothing is given up (tcp(7))."""


class Interruption:
    """Ends at once, from another thread, what is waited for on the network."""

    def __init__(self) -> None:
        """Interrupts nothing yet."""
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._is_set = False

    def add(self, connected: socket.socket) -> None:
        """Takes a socket in; it is shut down now, if the interruption has happened."""
        with self._lock:
            self._sockets.add(connected)
            if self._is_set:
                _shut_down(connected)

    def set(self) -> None:
        """Shuts every socket down, and those that are added later."""
        with self._lock:
            self._is_set = True
            for connected in self._sockets:
                _shut_down(connected)


class Transport:
    """Connections to one API server, which are made anew when the certificates change."""

    def __init__(
        self, configuration: "Configuration", interruption: Interruption | None = None
    ) -> None:
        """Connects nowhere yet."""
        self._configuration = configuration
        self._interruption = interruption
        self._lock = threading.Lock()
        self._files = self._certificates()
        self._pool = self._make_pool()

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        body: bytes | None = None,
        headers: Mapping[str, str],
        read_timeout: float,
        stream: bool = False,
    ) -> "BaseHTTPResponse":
        """Sends a request; with `stream` the body of the answer is yet to be read.

        Raises:
            urllib3.exceptions.HTTPError: The server cannot be reached, or was silent too long.
        """
        from urllib3.util import Timeout

        url = f"{self._configuration.host}{path}"
        return self._current_pool().request(
            method,
            f"{url}?{urlencode(query)}" if query else url,
            body=body,
            headers={**self._credentials(), **headers, "User-Agent": "kpx"},
            timeout=Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=read_timeout),
            retries=False,
            preload_content=not stream,
        )

    def _credentials(self) -> dict[str, str]:
        # This runs the configuration's hook, which reads a token that is kept in a file again.
        settings = self._configuration.auth_settings().values()
        return {
            setting["key"]: setting["value"]
            for setting in settings
            if setting["in"] == "header" and setting["value"]
        }

    def _current_pool(self) -> "PoolManager":
        files = self._certificates()
        with self._lock:
            if files != self._files:
                self._files = files
                self._pool = self._make_pool()
            return self._pool

    def _certificates(self) -> tuple[tuple[str, int, int] | None, ...]:
        """What tells a certificate or key from one that took its place."""
        configuration = self._configuration
        paths = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
        return tuple(_version(path) for path in paths)

    def _make_pool(self) -> "PoolManager":
        from kubernetes.client.rest import RESTClientObject
        from urllib3.connection import HTTPConnection

        pool: PoolManager = RESTClientObject(self._configuration).pool_manager
        options = list(HTTPConnection.default_socket_options)
        options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
        for name, value in _KEEPALIVE.items():
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
        options.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MILLISECONDS))
        pool.connection_pool_kw["socket_options"] = options
        if self._interruption:
            pool.pool_classes_by_scheme = _interruptible(self._interruption)
        return pool


def _version(path: str | None) -> tuple[str, int, int] | None:
    if not path:
        return None
    try:
        status = os.stat(path)
    except OSError:
        return None
    return path, status.st_mtime_ns, status.st_ino


def _shut_down(connected: socket.socket) -> None:
    with suppress(OSError):
        # Not the method of `ssl.SSLSocket`, which pulls the TLS state from under a reader.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def _interruptible(interruption: Interruption) -> dict[str, Any]:
    """The pools of urllib3, with connections that an interruption knows."""
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Connection(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            if self.sock:
                interruption.add(self.sock)

    class SecureConnection(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            if self.sock:
                interruption.add(self.sock)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}
