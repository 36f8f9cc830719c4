"""Name servers as Debian ships them, started for a test, and one that does what it is told."""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

import dns.exception
import dns.message
import dns.query

Address = tuple[str, int]
ZONE = "cluster.local"
SECRET = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
KEY = f'key "kpx" {{ algorithm hmac-sha256; secret "{SECRET}"; }};\n'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while True:
        try:
            if condition():
                return
        except (OSError, dns.exception.DNSException):
            pass
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def ask(server: Address, name: str, kind: str) -> dns.message.Message:
    query = dns.message.make_query(name, kind, flags=0)
    return dns.query.tcp(query, server[0], port=server[1], timeout=5)


def named(directory: Path, port: int, zones: str) -> list[str]:
    (directory / "named.conf").write_text(
        KEY
        + f'options {{ directory "{directory}"; listen-on port {port} {{ 127.0.0.1; }};'
        + " listen-on-v6 { none; }; recursion no; pid-file none; notify no;"
        + " dnssec-validation no; empty-zones-enable no;"
        + f' session-keyfile "{directory}/session.key"; }};\ncontrols {{ }};\n'
        + zones
    )
    return ["named", "-g", "-n", "1", "-c", str(directory / "named.conf")]


def knotd(directory: Path, port: int, zones: str) -> list[str]:
    (directory / "knot.conf").write_text(
        f"server:\n  rundir: {directory}\n  listen: 127.0.0.1@{port}\n"
        f"database:\n  storage: {directory}\n{zones}"
    )
    return ["knotd", "-c", str(directory / "knot.conf")]


class Peers(ExitStack):
    """Starts name servers in the foreground, and ends them."""

    def start(self, command: list[str], directory: Path, port: int, zone: str = ZONE) -> None:
        """Waits until it answers for the zone."""
        path = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/sbin"))
        program = shutil.which(command[0], path=path)
        assert program, f"{command[0]} is not installed"
        log = self.enter_context((directory / "log").open("wb"))
        process = subprocess.Popen([program, *command[1:]], stdout=log, stderr=log)
        self.callback(process.wait, 20)
        self.callback(process.terminate)
        wait_for(lambda: ask(("127.0.0.1", port), f"{zone}.", "SOA").rcode() == 0)


Send = Callable[[bytes], None]


class Upstream(AbstractContextManager["Upstream"]):
    """A server over UDP that does with each question what it is told."""

    def __init__(self, reply: Callable[[bytes, Send], None]) -> None:
        self.seen: list[tuple[bytes, object]] = []
        self._reply = reply
        self._stop = threading.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                question, client = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            self.seen.append((question, client))
            self._reply(question, partial(self._send, client))

    def _send(self, client: Address, answer: bytes) -> None:
        self._socket.sendto(answer, client)
