"""Runs the probe client in a namespace and reads what it saw."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .namespace import PATIENCE, Namespace

CLIENT = str(Path(__file__).with_name("probe_client.py"))


@dataclass(frozen=True)
class Attempt:
    """How one connection ended."""

    outcome: str
    seconds: float
    client: str
    pod: str
    source: str


@dataclass(frozen=True)
class Attempts:
    """How the connections of one probe ended."""

    all: tuple[Attempt, ...]

    @property
    def outcomes(self) -> Counter[str]:
        """How many connections ended in which way."""
        return Counter(attempt.outcome for attempt in self.all)

    @property
    def pods(self) -> Counter[str]:
        """How many connections each pod answered."""
        return Counter(attempt.pod for attempt in self.all if attempt.pod)

    @property
    def sources(self) -> dict[str, set[str]]:
        """The client addresses that each pod saw."""
        seen: dict[str, set[str]] = {}
        for attempt in self.all:
            if attempt.pod:
                seen.setdefault(attempt.pod, set()).add(attempt.source)
        return seen

    @property
    def pods_by_client(self) -> dict[str, set[str]]:
        """The pods that each address the client connected from reached."""
        reached: dict[str, set[str]] = {}
        for attempt in self.all:
            if attempt.pod:
                reached.setdefault(attempt.client, set()).add(attempt.pod)
        return reached

    @property
    def slowest(self) -> float:
        """The longest time one connection took, in seconds."""
        return max(attempt.seconds for attempt in self.all)


def connect(
    source: Namespace,
    protocol: str,
    address: str,
    port: int,
    *,
    count: int = 1,
    timeout: float = 2,
    bind: Sequence[str] = (),
) -> Attempts:
    """Makes `count` connections, one after the other, each given up after some time.

    `timeout` is in seconds on a machine of usual speed: `PATIENCE` multiplies it.

    They come from the addresses in `bind` in turn, or from the one that the kernel chooses.
    """
    completed = source.run(
        *(
            sys.executable,
            "-I",
            CLIENT,
            protocol,
            address,
            str(port),
            str(count),
            str(timeout * PATIENCE),
            *bind,
        ),
        timeout=30 + count * timeout,
    )
    return Attempts(tuple(Attempt(**attempt) for attempt in json.loads(completed.stdout)))


@dataclass(frozen=True)
class HeldConnection:
    """A TCP connection kept open by a process of its own."""

    pod: str
    process: "subprocess.Popen[str]"

    def is_alive(self) -> bool:
        """Sends a line through the connection and says whether it came back."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("still there\n")
        self.process.stdin.flush()
        return self.process.stdout.readline() == "still there\n"


@contextmanager
def held_connection(source: Namespace, address: str, port: int) -> Iterator[HeldConnection]:
    """Opens a TCP connection and keeps it open for the time of the block."""
    process = source.spawn(
        sys.executable, "-I", CLIENT, "hold", address, str(port), stdin=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        pod = process.stdout.readline().strip()
        assert pod, "the connection was not answered"
        yield HeldConnection(pod, process)
    finally:
        process.kill()
        process.communicate(timeout=10 * PATIENCE)


@dataclass(frozen=True)
class Talk:
    """A client that sends all its datagrams from one port: to the kernel, one flow."""

    process: "subprocess.Popen[str]"

    def pod(self) -> str:
        """Sends a datagram and returns the name of the pod that answered, `lost` if none did."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("who\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@contextmanager
def talk(
    source: Namespace, address: str, port: int, client_port: int, *, timeout: float = 1
) -> Iterator[Talk]:
    """Runs a client with a port of its own for the time of the block."""
    process = source.spawn(
        *(sys.executable, "-I", CLIENT, "talk", address, str(port), str(client_port)),
        str(timeout * PATIENCE),
        stdin=subprocess.PIPE,
    )
    try:
        yield Talk(process)
    finally:
        process.kill()
        process.communicate(timeout=10 * PATIENCE)
