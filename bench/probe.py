"""Real packets through what a peer has programmed.

The node is the network namespace of this process: every endpoint is an address of it, and one
socket listens on them all. A client in a namespace of its own is connected to it by a veth pair
and routes to Services through it. This file is that client too, as a process: it also takes the
connections from the node's socket, so that no other process has to be awake.
"""

import json
import socket
import struct
import subprocess
import sys
import time
from types import TracebackType
from typing import Any

from . import cases

POD_NETWORKS = ("10.64.0.0/10", "10.128.0.0/9")
_NODE, _CLIENT, _LENGTH = "192.0.2.1", "192.0.2.2", 24
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
CONNECTIONS = 20_000
"""How many connections are made at most at a time: the kernel follows each."""


class Probe:
    """A client, and a server that is every endpoint."""

    def __enter__(self) -> "Probe":
        """Builds both."""
        with socket.socket() as listener:
            listener.bind(("0.0.0.0", cases.TARGET_PORT))
            listener.listen()
            listener.set_inheritable(True)
            self._client = subprocess.Popen(
                [
                    *("unshare", "--net", sys.executable, "-m", "bench.probe"),
                    str(listener.fileno()),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                pass_fds=[listener.fileno()],
            )
        self._hear()
        for command in (
            "link set lo up",
            *(f"route add local {network} dev lo" for network in POD_NETWORKS),
            f"link add bench type veth peer name bench netns {self._client.pid}",
            f"address add {_NODE}/{_LENGTH} dev bench",
            "link set bench up",
        ):
            subprocess.run(["ip", *command.split()], check=True)
        self._ask("build")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends both."""
        self._client.communicate("")

    def connect(self, services: list[int], seconds: float) -> list[float]:
        """Connects to these Services in turn, and returns how long each handshake took.

        The kernel answers for the server: it is the way of the first packet and its answer.
        """
        return [float(took) for took in self._ask("connect", _addresses(services), seconds)]

    def begin_connecting(self, services: list[int], seconds: float) -> None:
        """Begins what `connected` returns."""
        self._tell("connect", _addresses(services), seconds)

    def connected(self) -> list[float]:
        """Returns how long each handshake took."""
        return [float(took) for took in self._hear()]

    def endpoints(self, service: int, connections: int) -> set[str]:
        """Connects to a Service so often, and returns the addresses that answered."""
        return set(self._ask("who", _addresses([service])[0], connections))

    def _ask(self, *request: Any) -> list[Any]:
        self._tell(*request)
        return self._hear()

    def _tell(self, *request: Any) -> None:
        assert self._client.stdin is not None
        self._client.stdin.write(json.dumps(request) + "\n")
        self._client.stdin.flush()

    def _hear(self) -> list[Any]:
        assert self._client.stdout is not None
        answer = json.loads(self._client.stdout.readline() or '{"error": "the client died"}')
        assert isinstance(answer, list), answer
        return answer


def _addresses(services: list[int]) -> list[str]:
    return [cases.cluster_ip(service) for service in services]


def _build(_listener: socket.socket) -> list[float]:
    for command in (
        "link set lo up",
        f"address add {_CLIENT}/{_LENGTH} dev bench",
        "link set bench up",
        f"route add default via {_NODE}",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    return []


def _connect(listener: socket.socket, addresses: list[str], seconds: float) -> list[float]:
    took: list[float] = []
    deadline = time.perf_counter() + seconds
    while len(took) < CONNECTIONS and time.perf_counter() < deadline:
        seconds_taken, _answered = _once(listener, addresses[len(took) % len(addresses)])
        took.append(seconds_taken)
    return took


def _who(listener: socket.socket, address: str, connections: int) -> list[str]:
    return [_once(listener, address)[1] for _ in range(connections)]


def _once(listener: socket.socket, address: str) -> tuple[float, str]:
    """Connects, and returns how long it took and which address answered."""
    with socket.socket() as client:
        client.settimeout(5)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        began = time.perf_counter()
        client.connect((address, cases.PORT))
        took = time.perf_counter() - began
        accepted, _source = listener.accept()
        with accepted:
            return took, str(accepted.getsockname()[0])


def main() -> None:
    """Obeys a JSON line at a time, until there is none."""
    # A socket of the node: what is accepted there came through its rules.
    listener = socket.socket(fileno=int(sys.argv[1]))
    listener.settimeout(5)
    print("[]", flush=True)
    commands: dict[str, Any] = {"build": _build, "connect": _connect, "who": _who}
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            answer = commands[name](listener, *arguments)
        except OSError as error:
            answer = {"error": f"{name}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
