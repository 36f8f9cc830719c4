"""A small API server on loopback: paged lists, selectors, and scripted refusals."""

import json
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]

SERVICES = "/api/v1/services"
NODES = "/api/v1/nodes"
ENDPOINT_SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
SERVICE_CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"

_KINDS = {
    SERVICES: ("v1", "ServiceList"),
    NODES: ("v1", "NodeList"),
    ENDPOINT_SLICES: ("discovery.k8s.io/v1", "EndpointSliceList"),
    SERVICE_CIDRS: ("networking.k8s.io/v1", "ServiceCIDRList"),
}


@dataclass(frozen=True)
class Request:
    """A request that came in."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """By lower-case names."""


@dataclass(frozen=True)
class Refusal:
    """An answer other than what was asked for."""

    status: int
    message: str = "refused"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None


def write_kubeconfig(url: str, directory: Path, token: str = "secret") -> str:
    """Writes a kubeconfig whose only context is a server, and returns its path."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fake",
        "clusters": [{"name": "fake", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {"token": token}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "me"}}],
    }
    path = directory / "kubeconfig"
    path.write_text(json.dumps(config))
    return str(path)


@dataclass
class ApiServer:
    """Serves lists as a context manager. What is put into `objects` is served from then on."""

    objects: dict[str, list[Object]] = field(default_factory=lambda: defaultdict(list))
    refusals: dict[str, deque[Refusal]] = field(default_factory=lambda: defaultdict(deque))
    """What the next requests of a path get; after those, it is served again."""
    expirations: int = 0
    """How many requests with a continue token are yet to be told that it has expired."""
    served: set[str] = field(default_factory=lambda: set(_KINDS))
    requests: list[Request] = field(default_factory=list)
    items_first: bool = False
    """Whether to write a list's items before its metadata, as no real server does."""

    def __enter__(self) -> "ApiServer":
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(url.path, query, headers)
                status, extra_headers, body = server.answer(request)
                self.send_response(status)
                for name, value in extra_headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def asked(self, path: str) -> list[dict[str, str]]:
        """The queries of the requests for a path."""
        return [request.query for request in self.requests if request.path == path]

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        self.requests.append(request)
        if self.refusals[request.path]:
            return self._refuse(self.refusals[request.path].popleft())
        if request.path not in self.served:
            return self._refuse(Refusal(404, "the server could not find the requested resource"))
        token = request.query.get("continue", "")
        if token and self.expirations:
            self.expirations -= 1
            return self._refuse(Refusal(410, "The provided continue parameter is too old"))
        return 200, {}, self._page(request, int(token or 0))

    def _refuse(self, refusal: Refusal) -> tuple[int, dict[str, str], bytes]:
        status = {"kind": "Status", "code": refusal.status, "message": refusal.message}
        body = json.dumps(status).encode() if refusal.body is None else refusal.body
        return refusal.status, refusal.headers, body

    def _page(self, request: Request, start: int) -> bytes:
        matching = [item for item in self.objects[request.path] if _matches(item, request.query)]
        end = start + int(request.query.get("limit", len(matching)))
        metadata: Object = {"resourceVersion": "1"}
        if end < len(matching):
            metadata |= {"continue": str(end), "remainingItemCount": len(matching) - end}
        api_version, kind = _KINDS[request.path]
        # As the real server does, with the kind left out of the items and the metadata in front.
        items = [
            {name: value for name, value in item.items() if name not in ("kind", "apiVersion")}
            for item in matching[start:end]
        ]
        head = {"kind": kind, "apiVersion": api_version}
        page = (
            {**head, "items": items, "metadata": metadata}
            if self.items_first
            else {**head, "metadata": metadata, "items": items}
        )
        return json.dumps(page, separators=(",", ":")).encode()


def _matches(item: Object, query: dict[str, str]) -> bool:
    labels = item["metadata"].get("labels", {})
    selectors = query.get("labelSelector", "").split(",")
    if any(selector.startswith("!") and selector[1:] in labels for selector in selectors):
        return False
    name, operator, value = _parts(query.get("fieldSelector", ""))
    if not operator:
        return True
    found: Any = item
    for part in name.split("."):
        found = found.get(part, "")
    return bool((found == value) == (operator == "="))


def _parts(selector: str) -> Iterable[str]:
    return selector.partition("!=" if "!=" in selector else "=")


def main() -> None:
    """Serves what the first line of stdin says, for as long as stdin stays open.

    Lets a server run in another network namespace. The line is a JSON object: `objects` by path,
    and `refusals` by path, each with the fields of `Refusal` but `body`. The URL goes to stdout.
    """
    script = json.loads(sys.stdin.readline())
    with ApiServer() as server:
        server.objects.update(script.get("objects", {}))
        for path, refusals in script.get("refusals", {}).items():
            server.refusals[path].extend(Refusal(**refusal) for refusal in refusals)
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
