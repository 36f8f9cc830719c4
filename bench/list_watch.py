"""An API server that lists a cluster and holds its watches open, in threads of this process.

It does what the agent asks when nothing goes wrong, and costs as little as that can;
`tests/fakes/apiserver` is the one that misbehaves.
"""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from . import cases

SERVICES = "/api/v1/services"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
_PATHS = {b'"kind":"Service"': SERVICES, b'"kind":"EndpointSlice"': SLICES}


class ListWatch:
    """Serves one cluster."""

    def __init__(self, services: int, endpoints: int) -> None:
        """Serves at once, on a port that `url` tells."""
        service_list, slice_list = cases.lists(range(services), endpoints)
        nodes, cidrs = (
            json.dumps({"kind": kind, "metadata": {"resourceVersion": "9000"}, "items": []})
            for kind in ("NodeList", "ServiceCIDRList")
        )
        self._lists = {
            SERVICES: service_list,
            SLICES: slice_list,
            "/api/v1/nodes": nodes.encode(),
            "/apis/networking.k8s.io/v1/servicecidrs": cidrs.encode(),
        }
        self._watches: dict[str, socket.socket] = {}
        self._watched = threading.Condition()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def wait_for_watches(self, seconds: float) -> None:
        """Waits until Services and EndpointSlices are watched."""
        with self._watched:
            assert self._watched.wait_for(lambda: len(self._watches) == 2, seconds), "no watches"

    def forget_watches(self) -> None:
        """Waits for new watches from now on."""
        with self._watched:
            self._watches.clear()

    def send(self, line: bytes) -> None:
        """Writes a watch event."""
        path = next(path for kind, path in _PATHS.items() if kind in line)
        self._watches[path].sendall(b"%x\r\n%s\n\r\n" % (len(line) + 1, line))

    def close(self) -> None:
        """Serves no more."""
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                if "sendInitialEvents" in url.query:
                    self.send_error(400)
                elif "watch=" in url.query:
                    self.send_response(200)
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    server._hold(url.path, self.connection)
                else:
                    body = server._lists[url.path]
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    def _hold(self, path: str, connection: socket.socket) -> None:
        if path in _PATHS.values():
            with self._watched:
                self._watches[path] = connection
                self._watched.notify_all()
        threading.Event().wait()
