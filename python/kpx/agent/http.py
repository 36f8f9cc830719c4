"""Small HTTP servers that no client can hold up: few connections, each for a short time."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from typing import Any, Final

from kpx.errors import ListenFailed

__all__ = ["Answer", "HttpServer", "parse_address"]

MOST_CONNECTIONS: Final = 32
"""How many clients are served at once; those beyond are turned away."""

REQUEST_SECONDS: Final = 5.0
"""How long one connection may last, however slowly its client sends or reads."""


@dataclass(frozen=True)
class Answer:
    """What a request gets."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


Pages = Mapping[str, Callable[[], Answer]]
"""What answers for each path; that of the empty path, for all others."""


def parse_address(text: str) -> tuple[str, int]:
    """Takes `HOST:PORT` or `[HOST]:PORT` apart.

    Raises:
        ValueError: It is neither.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (host and port.isdecimal() and int(port) < 1 << 16):
        raise ValueError(f"`{text}` is no `ADDRESS:PORT`")
    return host, int(port)


class HttpServer:
    """Serves a few pages at an address while the context is open."""

    def __init__(self, address: tuple[str, int], pages: Pages) -> None:
        """Listens at once.

        Raises:
            ListenFailed: The address cannot be listened on.
        """
        try:
            self._server = _server(address, pages)
        except OSError as failure:
            raise ListenFailed(
                f"cannot listen on `{address[0]}:{address[1]}`: {failure.strerror}",
                "does kube-proxy, or another agent, still run on this node?",
            ) from failure
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="http", daemon=True
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.server_port

    def __enter__(self) -> "HttpServer":
        """Starts to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops to listen."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _server(address: tuple[str, int], pages: Pages) -> ThreadingHTTPServer:
    slots = threading.BoundedSemaphore(MOST_CONNECTIONS)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = MOST_CONNECTIONS
        address_family = AF_INET6 if ":" in address[0] else AF_INET

        def process_request(self, request: Any, client_address: Any) -> None:
            if slots.acquire(blocking=False):
                super().process_request(request, client_address)
            else:
                self.shutdown_request(request)

        def process_request_thread(self, request: Any, client_address: Any) -> None:
            # Closes the connection under a client that sends or reads a byte at a time.
            alarm = threading.Timer(REQUEST_SECONDS, _shut, (request,))
            alarm.daemon = True
            alarm.start()
            try:
                super().process_request_thread(request, client_address)
            finally:
                alarm.cancel()
                slots.release()

        def handle_error(self, request: Any, client_address: Any) -> None:
            # A client that goes away, or is shut out, is nothing to report.
            pass

    class Handler(BaseHTTPRequestHandler):
        server_version = "kpx"
        sys_version = ""
        timeout = REQUEST_SECONDS

        def do_GET(self) -> None:
            page = pages.get(self.path.partition("?")[0]) or pages.get("")
            answer = page() if page else Answer(404, b"404 page not found\n")
            try:
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                self.send_header("X-Content-Type-Options", "nosniff")
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)
            except (TimeoutError, OSError):
                self.close_connection = True

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Server(address, Handler)


def _shut(connection: Any) -> None:
    from contextlib import suppress
    from socket import SHUT_RDWR

    with suppress(OSError):
        connection.shutdown(SHUT_RDWR)
