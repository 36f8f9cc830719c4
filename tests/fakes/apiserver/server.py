"""The HTTP side of the API server."""

import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fakes.apiserver.store import Object, Store, encode, key_of, matches
from fakes.apiserver.watch import Fault, Watch

SERVICES = "/api/v1/services"
NODES = "/api/v1/nodes"
PODS = "/api/v1/pods"
NAMESPACES = "/api/v1/namespaces"
ENDPOINTS = "/api/v1/endpoints"
ENDPOINT_SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
SERVICE_CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"
LEASES = "/apis/coordination.k8s.io/v1/leases"
EVENTS = "/apis/events.k8s.io/v1/events"

KINDS = {
    SERVICES: ("v1", "Service"),
    NODES: ("v1", "Node"),
    PODS: ("v1", "Pod"),
    NAMESPACES: ("v1", "Namespace"),
    ENDPOINTS: ("v1", "Endpoints"),
    ENDPOINT_SLICES: ("discovery.k8s.io/v1", "EndpointSlice"),
    SERVICE_CIDRS: ("networking.k8s.io/v1", "ServiceCIDR"),
    LEASES: ("coordination.k8s.io/v1", "Lease"),
    EVENTS: ("events.k8s.io/v1", "Event"),
}


@dataclass(frozen=True)
class Request:
    """A request that came in."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """By lower-case names."""
    verb: str = "list"
    body: bytes = b""


@dataclass(frozen=True)
class Refusal:
    """An answer other than what was asked for."""

    status: int = 500
    message: str = "refused"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    reason: str = ""
    verb: str = ""
    """What is refused: `list`, `watch`, `get`, `create`...; anything if empty."""
    hang: bool = False
    """Whether there is no answer at all, and the connection stays."""
    delay: float = 0.0
    """Seconds before the answer; with the status 0 the request is then served."""


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


class _Refused(Exception):
    def __init__(self, status: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.refusal = Refusal(status, message, reason=reason)
        self.details = details


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """Clients that go away are what tests are about."""


@dataclass
class ApiServer:
    """Serves as a context manager."""

    host: str = "127.0.0.1"
    port: int = 0
    refusals: dict[str, deque[Refusal]] = field(default_factory=lambda: defaultdict(deque))
    """What the next requests of a collection get; after those, it is served again."""
    expirations: int = 0
    """How many requests with a continue token are yet to be told that it has expired."""
    served: set[str] = field(default_factory=lambda: set(KINDS))
    requests: list[Request] = field(default_factory=list)
    items_first: bool = False
    """Whether to write a list's items before its metadata, as no real server does."""
    streaming_lists: bool | None = True
    """Whether `sendInitialEvents` is served, refused (False), or not known (None)."""
    expired_in_stream: bool = False
    """Whether a watch of a version that is gone begins, and then says so by an ERROR."""
    bookmark_seconds: float = 60.0
    page_limit: int | None = None
    """Pages have at most as many objects, whatever is asked for."""
    answer_headers: dict[str, dict[str, str]] = field(default_factory=dict)
    """What answers to writes of a collection say in their headers, such as a `Warning`."""
    store: Store = field(default_factory=Store)
    watches: list[tuple[str, Watch]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "ApiServer":
        self.come_back()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.leave()

    def come_back(self) -> None:
        """Listens, at the port of before if there was one."""
        self._http = _Http((self.host, self.port), _handler(self))
        self.port = self._http.server_port
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def leave(self) -> None:
        """Breaks every watch off, and refuses connections; what it knows may change meanwhile."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        with self.store.changed:
            for _path, watch in self.watches:
                watch.faults.append(Fault("cut"))
            self.store.changed.notify_all()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def asked(self, path: str, verb: str = "") -> list[dict[str, str]]:
        """The queries of the requests for a path."""
        return [
            request.query
            for request in self.requests
            if request.path == path and verb in ("", request.verb)
        ]

    def preload(self, path: str, objects: Iterable[Object]) -> None:
        """Makes these the only objects of a collection; no watch is told."""
        self.store.preload(path, objects)

    def put(self, path: str, given: Object) -> Object:
        """Makes or replaces an object, whatever its version."""
        return self.store.put(path, given)

    def remove(self, path: str, namespace: str, name: str) -> None:
        """Deletes an object, if there is one."""
        self.store.remove(path, namespace, name)

    def get(self, path: str) -> list[Object]:
        """The objects of a collection."""
        with self.store.changed:
            return [item for item, _ in self.store.collection(path).objects.values()]

    def compact(self, path: str) -> None:
        """Makes every version up to now one that is gone."""
        self.store.compact(path)

    def inject(self, path: str, fault: Fault) -> int:
        """Does something to the open watches of a collection, and says to how many."""
        with self.store.changed:
            open_watches = [watch for watched, watch in self.watches if watched == path]
            for watch in open_watches:
                watch.faults.append(fault)
            self.store.changed.notify_all()
            return len(open_watches)

    def hold(self, path: str) -> None:
        """Lets watches of a collection hear nothing of what happens, until `release`."""
        with self.store.changed:
            self.store.held.add(path)

    def release(self, path: str) -> None:
        """Tells watches what has happened since `hold`."""
        with self.store.changed:
            self.store.held.discard(path)
            self.store.changed.notify_all()

    def emit(self, path: str, given: Object, rate: float, count: int) -> None:
        """Changes an object so many times a second.

        Each change has an annotation `emitted` with the time by the system's monotonic clock, in
        seconds, and `number`; a Service gets another `clusterIP`, too.
        """
        due = time.monotonic()
        for number in range(count):
            annotations = {
                **given["metadata"].get("annotations", {}),
                "emitted": repr(time.monotonic()),
                "number": str(number),
            }
            whole = {**given, "metadata": {**given["metadata"], "annotations": annotations}}
            if "clusterIP" in given.get("spec", {}):
                address = f"10.97.{number // 250 % 250}.{number % 250 + 1}"
                whole["spec"] = {**given["spec"], "clusterIP": address, "clusterIPs": [address]}
            self.put(path, whole)
            due += 1 / rate
            self.closing.wait(max(0.0, due - time.monotonic()))

    # Answers.

    def refusal_of(self, request: Request, collection: str) -> Refusal | None:
        waiting = self.refusals[collection]
        if waiting and waiting[0].verb in ("", request.verb):
            return waiting.popleft()
        return None

    def list(self, path: str, namespace: str | None, query: dict[str, str]) -> bytes:
        token = query.get("continue", "")
        if token and self.expirations:
            self.expirations -= 1
            raise _Refused(410, "Expired", "The provided continue parameter is too old")
        asked = query.get("resourceVersion", "")
        with self.store.changed:
            self.check_version(asked)
            collection = self.store.collection(path)
            version = self.store.version
            found = [
                text
                for (item_namespace, _), (item, text) in collection.objects.items()
                if namespace in (None, item_namespace) and matches(item, query)
            ]
        start = int(token.rpartition(".")[2]) if token else 0
        # The real server, too, ignores the limit where any version will do.
        limit = int(query["limit"]) if "limit" in query and asked != "0" else len(found)
        end = start + min(limit, self.page_limit or limit)
        metadata: Object = {"resourceVersion": str(version)}
        if end < len(found):
            metadata |= {"continue": f"{version}.{end}", "remainingItemCount": len(found) - end}
        api_version, kind = KINDS[path]
        head = encode({"kind": f"{kind}List", "apiVersion": api_version})[:-1]
        # As the real server does, with the metadata in front.
        parts = [
            b'"metadata":' + encode(metadata),
            b'"items":[' + b",".join(found[start:end]) + b"]",
        ]
        return b",".join([head, *(reversed(parts) if self.items_first else parts)]) + b"}"

    def check_version(self, asked: str) -> None:
        if asked and int(asked) > self.store.version:
            message = f"Too large resource version: {asked}, current: {self.store.version}"
            cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            raise _Refused(504, "Timeout", message, causes=[cause], retryAfterSeconds=1)

    def write(
        self, verb: str, path: str, namespace: str | None, name: str, request: Request
    ) -> tuple[int, bytes]:
        given = json.loads(request.body) if request.body else {}
        with self.store.changed:
            if verb == "create":
                metadata = {**given["metadata"]}
                if namespace is not None:
                    metadata["namespace"] = namespace
                if "name" not in metadata:
                    metadata["name"] = f"{metadata['generateName']}{self.store.version:05x}"
                given = {**given, "metadata": metadata}
                if key_of(given) in self.store.collection(path).objects:
                    raise _Refused(409, "AlreadyExists", f"{metadata['name']} already exists")
                return 201, encode(self.store.put(path, given))
            key = (namespace or "", name)
            if key not in self.store.collection(path).objects:
                raise _Refused(404, "NotFound", f"{name} not found")
            current = self.store.collection(path).objects[key][0]
            if verb == "get":
                return 200, encode(current)
            if verb == "delete":
                conditions = given.get("preconditions", {})
            else:
                conditions = given.get("metadata", {})
            expected = {
                part: conditions[part] for part in ("resourceVersion", "uid") if part in conditions
            }
            if any(current["metadata"][part] != value for part, value in expected.items()):
                raise _Refused(409, "Conflict", "the object has been modified")
            if verb == "delete":
                return 200, encode(self.store.remove(path, *key) or {})
            whole = merged(current, given) if verb == "patch" else given
            return 200, encode(self.store.put(path, whole))


def merged(current: Any, patch: Any) -> Any:
    """A merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(current) if isinstance(current, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def _place(path: str) -> tuple[str, str | None, str]:
    """The collection, the namespace and the name that a path names."""
    if path in KINDS:
        return path, None, ""
    parts = path.split("/")
    if "namespaces" in parts[:-2]:
        at = parts.index("namespaces")
        namespace, plural, name = unquote(parts[at + 1]), parts[at + 2], "".join(parts[at + 3 :])
        return "/".join([*parts[:at], plural]), namespace, unquote(name)
    return "/".join(parts[:-1]), None, unquote(parts[-1])


def _handler(server: ApiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 0

        def _serve(self, verb: str) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            path, namespace, name = _place(url.path)
            if verb == "list":
                verb = "get" if name else "watch" if query.get("watch") else "list"
            request = Request(url.path, query, headers, verb, body)
            server.requests.append(request)
            refusal = server.refusal_of(request, path)
            if refusal and (refusal.hang or refusal.delay):
                server.closing.wait(None if refusal.hang else refusal.delay)
            if refusal and refusal.hang:
                self.close_connection = True
                return
            if refusal and refusal.status:
                self._refuse(refusal, {})
                return
            try:
                if path not in server.served or path not in KINDS:
                    raise _Refused(404, "NotFound", "the server could not find the resource")
                if verb == "watch":
                    self._watch(path, namespace, query)
                elif verb == "list":
                    self._answer(200, {}, server.list(path, namespace, query))
                else:
                    status, body = server.write(verb, path, namespace, name, request)
                    self._answer(status, server.answer_headers.get(path, {}), body)
            except _Refused as refused:
                self._refuse(refused.refusal, refused.details)
            except OSError:
                self.close_connection = True

        def _refuse(self, refusal: Refusal, details: Object) -> None:
            status = {
                "kind": "Status",
                "code": refusal.status,
                "message": refusal.message,
                "reason": refusal.reason,
                "details": details,
            }
            body = encode(status) if refusal.body is None else refusal.body
            self._answer(refusal.status, refusal.headers, body)

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _watch(self, path: str, namespace: str | None, query: dict[str, str]) -> None:
            if query.get("sendInitialEvents") and server.streaming_lists is False:
                raise _Refused(422, "Invalid", "sendInitialEvents is forbidden for watch")
            asked = query.get("resourceVersion", "")
            server.check_version(asked)
            watch = Watch(server.store, path, KINDS[path], namespace, query)
            watch.bookmark_seconds = server.bookmark_seconds
            watch.says_where_lists_end = server.streaming_lists is True
            gone = not watch.initial and int(asked) < server.store.collection(path).oldest
            if gone and not server.expired_in_stream:
                raise _Refused(410, "Expired", f"too old resource version: {asked}")
            if gone:
                watch.faults.append(Fault("error", 410, "too old resource version"))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            if self.close_connection:
                # Asked to close, the real server says that it will.
                self.send_header("Connection", "close")
            self.end_headers()
            entry = (path, watch)
            with server.store.changed:
                server.watches.append(entry)
            try:
                if not watch.serve(self.wfile.write, server.closing):
                    self.close_connection = True
            finally:
                with server.store.changed:
                    server.watches.remove(entry)

        def log_message(self, format: str, *args: object) -> None:
            pass

    def method(verb: str) -> Callable[[Handler], None]:
        return lambda handler: handler._serve(verb)

    methods = {"GET": "list", "POST": "create", "PUT": "update", "PATCH": "patch"}
    for name, verb in {**methods, "DELETE": "delete"}.items():
        setattr(Handler, f"do_{name}", method(verb))
    return Handler
