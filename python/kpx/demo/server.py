"""The server in a Pod: `python -m kpx.demo.server NAME PORT` answers HTTP with its name."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers every GET with the name of the Pod."""

    def do_GET(self) -> None:
        """Answers one request; the connection is closed after it."""
        body = f"{sys.argv[1]}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps quiet: the client counts."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("", int(sys.argv[2])), Handler)
    print("listening", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(130)
