"""Makes many connections to one address and says how each ended.

Run as `probe_client.py PROTOCOL ADDRESS PORT COUNT TIMEOUT [CLIENT...]`, PROTOCOL being `tcp` or
`udp`, TIMEOUT in seconds for each, CLIENT the addresses to connect from in turn; prints a list of
`{"outcome", "seconds", "client", "pod", "source"}` as JSON. `outcome` is `answer`, `unreachable`
(refused by an ICMP port unreachable), `reset` (refused by a TCP reset) or `timeout`.

Run as `probe_client.py hold ADDRESS PORT`: opens one TCP connection, prints the name of the pod,
then sends each line of its standard input through it and prints what comes back, `lost` where
nothing does.

Run as `probe_client.py talk ADDRESS PORT CLIENT_PORT TIMEOUT`: for each line of its standard input,
sends a datagram, always from the same port, and prints the name of the pod that answered, `lost`
where none did in TIMEOUT seconds.
"""

import errno
import json
import os
import select
import socket
import sys
import time

# Type and code of "port unreachable" (RFC 792, RFC 4443), and where a raw socket reads them.
ICMP_PORT_UNREACHABLE = {socket.AF_INET: (b"\x03\x03", 20), socket.AF_INET6: (b"\x01\x04", 0)}


class IcmpWatch:
    """Sees the ICMP errors that this namespace receives, to tell a reject from a reset."""

    def __init__(self, family: socket.AddressFamily) -> None:
        """Opens the raw socket, which needs root in the namespace."""
        protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
        self.family = family
        self.socket = socket.socket(family, socket.SOCK_RAW, protocol)
        self.socket.setblocking(False)

    def port_unreachable(self) -> bool:
        """Says whether a port unreachable has come since the last call."""
        wanted, offset = ICMP_PORT_UNREACHABLE[self.family]
        seen = False
        while True:
            try:
                packet = self.socket.recv(2048)
            except BlockingIOError:
                return seen
            seen |= packet[offset : offset + 2] == wanted


class Probe:
    """Connects to one target, again and again."""

    def __init__(self, protocol: str, target: tuple[str, int], timeout: float) -> None:
        """Prepares; connects to nothing yet."""
        self.protocol = protocol
        self.target = target
        self.timeout = timeout
        self.family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        self.icmp = IcmpWatch(self.family)

    def exchange(self, client: str) -> str:
        """Opens a connection, or sends a datagram, and returns the answer."""
        kind = socket.SOCK_STREAM if self.protocol == "tcp" else socket.SOCK_DGRAM
        with socket.socket(self.family, kind) as connection:
            if client:
                connection.bind((client, 0))
            self.connect(connection)
            if self.protocol == "udp":
                connection.send(b"who\n")
            return connection.recv(256).decode()

    def connect(self, connection: socket.socket) -> None:
        """Connects, and takes a refusal as soon as the socket knows of it.

        A wire without latency may bring the ICMP error while `connect` still holds the socket. The
        kernel then keeps it as the socket's pending error and fails the connection only after it
        has sent again, a second later (`sk_err_soft` in `tcp_v6_err`, net/ipv6/tcp_ipv6.c).
        """
        connection.setblocking(False)
        refusal = connection.connect_ex(self.target)
        deadline = time.monotonic() + self.timeout
        while refusal in (0, errno.EINPROGRESS):
            _readable, writable, _failed = select.select([], [connection], [], 0.01)
            refusal = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if writable and not refusal:
                connection.settimeout(self.timeout)
                return
            if time.monotonic() > deadline:
                raise TimeoutError
        raise OSError(refusal, os.strerror(refusal))

    def attempt(self, client: str) -> dict[str, str | float]:
        """Makes one connection and says how it ended."""
        started = time.monotonic()
        pod = source = ""
        outcome = "answer"
        try:
            pod, source, _port = self.exchange(client).split()
        except TimeoutError:
            outcome = "timeout"
        except OSError as error:
            # A datagram that the node itself sends and rejects is not permitted (`ip_send_skb`).
            if error.errno not in (errno.ECONNREFUSED, errno.ECONNRESET, errno.EPERM):
                raise
            outcome = "unreachable" if self.icmp.port_unreachable() else "reset"
        return {
            "outcome": outcome,
            "seconds": time.monotonic() - started,
            "client": client,
            "pod": pod,
            "source": source,
        }


def hold(target: tuple[str, int]) -> None:
    """Keeps one connection open and sends the lines of standard input through it."""
    with socket.create_connection(target, timeout=5) as connection:
        stream = connection.makefile("rw")
        print(stream.readline().split()[0], flush=True)
        for line in sys.stdin:
            try:
                stream.write(line)
                stream.flush()
                echoed = stream.readline()
            except OSError:
                echoed = ""
            print(echoed.strip() or "lost", flush=True)


def talk(target: tuple[str, int], client_port: int, timeout: float) -> None:
    """Sends a datagram for each line of standard input, always from the same port."""
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("", client_port))
        datagrams.settimeout(timeout)
        for line in sys.stdin:
            try:
                datagrams.sendto(line.encode(), target)
                answer = datagrams.recv(256).decode().split()[0]
            except OSError:
                answer = "lost"
            print(answer, flush=True)


def main() -> None:
    """Runs what the command line asks for."""
    if sys.argv[1] == "hold":
        hold((sys.argv[2], int(sys.argv[3])))
        return
    if sys.argv[1] == "talk":
        talk((sys.argv[2], int(sys.argv[3])), int(sys.argv[4]), float(sys.argv[5]))
        return
    protocol, address, port, count, timeout = sys.argv[1:6]
    clients = sys.argv[6:] or [""]
    probe = Probe(protocol, (address, int(port)), float(timeout))
    json.dump([probe.attempt(clients[n % len(clients)]) for n in range(int(count))], sys.stdout)


if __name__ == "__main__":
    main()
