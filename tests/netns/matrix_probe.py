"""Makes connections to many targets at once and says how they ended.

Run as `matrix_probe.py AT_THE_SAME_TIME TIMEOUT`, the number of targets to connect to at the same
time and the seconds after which a connection is given up. Reads a JSON list of targets from its
standard input, each `{"protocol", "address", "port", "wanted"}`, and prints a list of
`{"outcomes": {outcome: count}, "sources": {pod: [address]}, "slowest": seconds}` in the same order.
A target is connected to until `wanted` pods have answered, a few times at least; one that does not
answer once is given up. The outcomes are `answer`, `unreachable`
(an ICMP port unreachable came back), `reset` (a TCP reset did), `timeout`, or the name of any other
error.
"""

import asyncio
import errno
import json
import socket
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

AT_LEAST = 8
"""Connections to a target: enough that an endpoint which must not be reached hardly hides."""
AT_MOST = 80
"""Connections after which a wanted pod is missing: of three, one hides so long in 10^14 runs."""
Flow = tuple[socket.AddressFamily, int, int]
"""A connection as an ICMP error quotes it: family, protocol, and source port."""


@dataclass
class Result:
    """How the connections to one target ended."""

    outcomes: Counter[str] = field(default_factory=Counter)
    sources: dict[str, set[str]] = field(default_factory=dict)
    slowest: float = 0

    def as_json(self) -> dict[str, object]:
        """Returns the result as it is printed."""
        sources = {pod: sorted(addresses) for pod, addresses in self.sources.items()}
        return {"outcomes": self.outcomes, "sources": sources, "slowest": self.slowest}


class Refusals:
    """Tells each flow of the port unreachables that come for it."""

    def __init__(self) -> None:
        """Opens the raw sockets, which needs root in the namespace."""
        self.waiting: dict[Flow, asyncio.Future[None]] = {}
        self.sockets = [
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
            socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6),
        ]
        for raw in self.sockets:
            raw.setblocking(False)
            asyncio.get_running_loop().add_reader(raw, self.read)

    def read(self) -> None:
        """Reads every ICMP message that is there."""
        for raw in self.sockets:
            with suppress(BlockingIOError):
                while True:
                    self.take(raw.family, raw.recv(2048))

    def take(self, family: int, packet: bytes) -> None:
        """Takes one message: an ICMP header, then the packet it is about (RFC 792, RFC 4443)."""
        if family == socket.AF_INET:
            message = packet[(packet[0] & 15) * 4 :]
            if message[:2] != b"\x03\x03":
                return
            quoted = message[8:]
            protocol, ports = quoted[9], quoted[(quoted[0] & 15) * 4 :]
        else:
            if packet[:2] != b"\x01\x04":
                return
            quoted = packet[8:]
            protocol, ports = quoted[6], quoted[40:]
        flow = (socket.AddressFamily(family), protocol, int.from_bytes(ports[:2], "big"))
        refused = self.waiting.get(flow)
        if refused and not refused.done():
            refused.set_result(None)


@dataclass(frozen=True)
class Target:
    """What is connected to."""

    protocol: str
    address: str
    port: int
    wanted: int

    async def exchange(self, connection: socket.socket) -> tuple[str, str]:
        """Connects and returns the pod that answered, and the source address that it saw."""
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, (self.address, self.port))
        if self.protocol == "udp":
            # A datagram that this host itself discards is not permitted (`ip_send_skb`).
            with suppress(PermissionError):
                await loop.sock_sendall(connection, b"who\n")
        pod, source, _port = (await loop.sock_recv(connection, 256)).decode().split()
        return pod, source

    async def attempt(self, timeout: float, refusals: Refusals, result: Result) -> str:
        """Makes one connection, notes who answered, and returns how it ended."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        kind = socket.SOCK_STREAM if self.protocol == "tcp" else socket.SOCK_DGRAM
        with socket.socket(family, kind) as connection:
            connection.setblocking(False)
            connection.bind(("", 0))
            number = socket.IPPROTO_TCP if self.protocol == "tcp" else socket.IPPROTO_UDP
            flow = (family, number, connection.getsockname()[1])
            # The kernel gives the port of a refused TCP connection to the next one at once
            # (`tcp_set_state`), so what is there by now is about the connection before.
            refusals.read()
            refused = refusals.waiting[flow] = loop.create_future()
            answered = loop.create_task(self.exchange(connection))
            try:
                await asyncio.wait(
                    (answered, refused),
                    timeout=timeout,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                # The error of a refused socket may be seen before the message that caused it.
                refusals.read()
                if refused.done():
                    return "unreachable"
                if not answered.done():
                    return "timeout"
                pod, source = answered.result()
            except (ConnectionRefusedError, ConnectionResetError):
                return "reset"
            except OSError as error:
                return errno.errorcode.get(error.errno or 0, str(error))
            finally:
                if refusals.waiting.get(flow) is refused:
                    del refusals.waiting[flow]
                answered.cancel()
                await asyncio.gather(answered, return_exceptions=True)
        result.sources.setdefault(pod, set()).add(source)
        return "answer"

    async def probe(self, timeout: float, refusals: Refusals, turn: asyncio.Semaphore) -> Result:
        """Connects one time after the other."""
        loop = asyncio.get_running_loop()
        result = Result()
        async with turn:
            for attempts in range(AT_MOST):
                if attempts >= AT_LEAST and len(result.sources) >= self.wanted:
                    break
                started = loop.time()
                outcome = await self.attempt(timeout, refusals, result)
                result.outcomes[outcome] += 1
                result.slowest = max(result.slowest, loop.time() - started)
                if outcome == "timeout":
                    break
        return result


async def main() -> None:
    """Probes every target."""
    targets = [Target(**target) for target in json.load(sys.stdin)]
    at_the_same_time, timeout = int(sys.argv[1]), float(sys.argv[2])
    refusals, turn = Refusals(), asyncio.Semaphore(at_the_same_time)
    results = await asyncio.gather(*(target.probe(timeout, refusals, turn) for target in targets))
    json.dump([result.as_json() for result in results], sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
