"""A small API server with watches, for the agent's tests: lists, and then what it is told to send.

`python -m agent.watch_server` reads commands as lines of JSON from stdin: `{"objects": {PATH:
[...]}}` first, then `{"send": PATH, "events": [...]}`, `{"cut": PATH}` (ends the watches of a path
in the middle of a line) or `{"down": true|false}` (whether requests are refused).
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KINDS = {
    "/api/v1/services": ("v1", "Service"),
    "/api/v1/nodes": ("v1", "Node"),
    "/apis/discovery.k8s.io/v1/endpointslices": ("discovery.k8s.io/v1", "EndpointSlice"),
    "/apis/networking.k8s.io/v1/servicecidrs": ("networking.k8s.io/v1", "ServiceCIDR"),
}


class Path:
    """The lists and the watches of one resource."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self.items = items
        self.first = self.version = 1000
        self.lines: list[bytes] = []
        self.cuts = 0
        self.news = threading.Condition()

    def send(self, events: list[dict[str, Any]]) -> None:
        with self.news:
            for event in events:
                self.version += 1
                event["object"]["metadata"]["resourceVersion"] = str(self.version)
                self.lines.append(json.dumps(event, separators=(",", ":")).encode() + b"\n")
                name = event["object"]["metadata"]["name"]
                self.items = [item for item in self.items if item["metadata"]["name"] != name]
                if event["type"] != "DELETED":
                    self.items.append(event["object"])
            self.news.notify_all()

    def cut(self) -> None:
        with self.news:
            self.cuts += 1
            self.news.notify_all()


def main() -> None:
    script = json.loads(sys.stdin.readline())
    paths = {path: Path(script["objects"].get(path, [])) for path in KINDS}
    down = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 0
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            path = paths.get(url.path)
            if down.is_set() or path is None:
                self._answer(404 if path is None else 503, b'{"kind":"Status"}')
            elif query.get("watch") not in ("1", "true"):
                self._list(url.path, path)
            elif "sendInitialEvents" in query:
                self._answer(400, b'{"kind":"Status","code":400,"message":"not supported"}')
            else:
                self._watch(path, int(query["resourceVersion"]))

        def _list(self, name: str, path: Path) -> None:
            version, kind = KINDS[name]
            with path.news:
                page = {
                    "kind": f"{kind}List",
                    "apiVersion": version,
                    "metadata": {"resourceVersion": str(path.version)},
                    "items": path.items,
                }
            self._answer(200, json.dumps(page, separators=(",", ":")).encode())

        def _watch(self, path: Path, version: int) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            sent, cuts = version - path.first, path.cuts
            while True:
                with path.news:
                    path.news.wait_for(
                        lambda sent=sent: len(path.lines) > sent or path.cuts > cuts  # type: ignore[misc]
                    )
                    lines, is_cut = path.lines[sent:], path.cuts > cuts
                sent += len(lines)
                body = b"".join(lines) + (b'{"type":"MODIFIED","obj' if is_cut else b"")
                try:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
                except OSError:
                    return
                if is_cut:
                    self.close_connection = True
                    return

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if "send" in command:
            paths[command["send"]].send(command["events"])
        elif "cut" in command:
            paths[command["cut"]].cut()
        elif command["down"]:
            down.set()
        else:
            down.clear()
        print("done", flush=True)


if __name__ == "__main__":
    main()
