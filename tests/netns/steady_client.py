"""A client that stays: opens connections on request, keeps some, and tries one after the other.

Run as `steady_client.py [ADDRESS]`, to connect from that address; obeys commands, one JSON object a
line, and answers each with a line:

- `{"try": [[ADDRESS, PORT], ...], "count": N, "seconds": S}`: connects N times to each, and says
  who answered, as a list of names for each; `none` is among them where nobody did within S seconds
- `{"hold": [[ADDRESS, PORT], ...]}`: keeps a connection to each open, and says whom it reached;
  with a third item, that is the port to connect from
- `{"alive": null}`: sends a line through each connection held, in order, and says which came back
- `{"keep": [N, ...]}`: closes the others; those of these numbers are held in this order
- `{"ask": [[ADDRESS, PORT, CLIENT_PORT], ...]}`: sends a datagram to each, always from the same
  port, and says who answered, `none` where nobody did
- `{"again": [ADDRESS, PORT, CLIENT_PORT], "end": "reset"}`: connects from this port and ends the
  connection by a reset, or by `close`; says who answered, and how often a packet was sent again
- `{"watch": [[ADDRESS, PORT], ...]}`: from now on connects to these in turn, all the time
- `{"watched": null}`: how many of those connections there were, and what failed of them
"""

import errno
import json
import os
import socket
import struct
import sys
import threading
import time
from typing import Any

SECONDS = 5.0
"""After how long a connection is given up; the first packet is sent again after one second."""
ABSENT_SECONDS = 0.3
"""After how long a datagram is given up."""
PAUSE_SECONDS = 0.005 * float(os.environ.get("KPX_TEST_PATIENCE", "1"))
"""Between two connections, so that an emulated processor has time for anything else."""
OWN_ADDRESS = "".join(sys.argv[1:])
RESET = struct.pack("ii", 1, 0)
RESENT_OFFSET = 100
"""Of `tcpi_total_retrans` in `tcp_info` (<linux/tcp.h>)."""

Target = tuple[str, int]


def connected(target: Target, seconds: float = SECONDS, own_port: int = 0) -> socket.socket:
    """A connection that leaves nothing behind when it is closed, from any port or a given one."""
    connection = socket.socket(family_of(target), socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        if own_port:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if OWN_ADDRESS or own_port:
            connection.bind((OWN_ADDRESS, own_port))
        connection.connect(target)
    except OSError:
        connection.close()
        raise
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    return connection


def family_of(target: Target) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in target[0] else socket.AF_INET


def name_of(connection: socket.socket) -> str:
    """Who answered: every connection begins with a line that says it."""
    answer = b""
    while not answer.endswith(b"\n"):
        part = connection.recv(256)
        if not part:
            raise ConnectionResetError
        answer += part
    return answer.split()[0].decode()


class Client:
    """Carries the commands out."""

    def __init__(self) -> None:
        self.held: list[socket.socket] = []
        self.datagrams: dict[int, socket.socket] = {}
        self.attempts = 0
        self.failures: list[str] = []

    def obey(self, command: dict[str, Any]) -> Any:
        match command:
            case {"try": targets, "count": count, "seconds": seconds}:
                return [self.tried((address, port), count, seconds) for address, port in targets]
            case {"hold": targets}:
                return [self.hold((address, port), *own) for address, port, *own in targets]
            case {"alive": _}:
                return [alive(connection) for connection in self.held]
            case {"keep": numbers}:
                before, self.held = self.held, [self.held[number] for number in numbers]
                for connection in before:
                    if connection not in self.held:
                        connection.close()
                return None
            case {"ask": targets}:
                return [self.ask((address, port), own) for address, port, own in targets]
            case {"again": [address, port, own], "end": end}:
                return again((address, port), own, end)
            case {"watch": targets}:
                threading.Thread(target=self.watch, args=(targets,), daemon=True).start()
                return None
            case {"watched": _}:
                return [self.attempts, self.failures]
        raise ValueError(f"`{command}` is no command")

    def tried(self, target: Target, count: int, seconds: float) -> list[str]:
        names = set()
        for _ in range(count):
            try:
                with connected(target, seconds) as connection:
                    names.add(name_of(connection))
            except OSError:
                names.add("none")
                break
        return sorted(names)

    def hold(self, target: Target, own_port: int = 0) -> str:
        connection = connected(target, own_port=own_port)
        self.held.append(connection)
        return name_of(connection)

    def ask(self, target: Target, own_port: int) -> str:
        if own_port not in self.datagrams:
            self.datagrams[own_port] = socket.socket(family_of(target), socket.SOCK_DGRAM)
            self.datagrams[own_port].bind(("", own_port))
            self.datagrams[own_port].settimeout(ABSENT_SECONDS)
        datagrams = self.datagrams[own_port]
        try:
            datagrams.sendto(b"who\n", target)
            return datagrams.recv(256).decode().split()[0]
        except OSError:
            return "none"

    def watch(self, targets: list[Target]) -> None:
        pause = threading.Event()
        while not pause.wait(PAUSE_SECONDS):
            address, port = targets[self.attempts % len(targets)]
            self.attempts += 1
            try:
                with connected((address, port)) as connection:
                    name_of(connection)
            except OSError as error:
                self.failures.append(f"{address} {port}: {error}")


def again(target: Target, own_port: int, end: str) -> tuple[str, int]:
    deadline = time.monotonic() + SECONDS
    while True:
        connection = socket.socket(family_of(target), socket.SOCK_STREAM)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.settimeout(SECONDS)
        connection.bind(("", own_port))
        try:
            connection.connect(target)
            break
        except OSError as error:
            connection.close()
            # A port whose connection was closed is free after a second, where that is allowed.
            if error.errno != errno.EADDRNOTAVAIL or time.monotonic() > deadline:
                return str(error), 0
            time.sleep(0.1)
    with connection:
        name = name_of(connection)
        if end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        else:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(256):
                pass
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, RESENT_OFFSET + 4)
    return name, int.from_bytes(info[RESENT_OFFSET:], sys.byteorder)


def alive(connection: socket.socket) -> bool:
    """Whether a line comes back as it was sent."""
    try:
        connection.sendall(b"there\n")
        return connection.recv(256) == b"there\n"
    except OSError:
        return False


if __name__ == "__main__":
    client = Client()
    for line in sys.stdin:
        print(json.dumps(client.obey(json.loads(line))), flush=True)
