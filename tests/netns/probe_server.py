"""A pod's server: says who it is and from where it sees each connection and datagram.

Run as `probe_server.py NAME PORT ADDRESS...`; prints `ready` once every address is bound. A TCP
connection is answered with `NAME ADDRESS PORT` and a newline, and then echoed; a datagram with the
same line.
"""

import asyncio
import socket
import sys


def answer(name: str, peer: tuple[str, int]) -> bytes:
    """Returns the line that tells a client who answered and how its address looked."""
    return f"{name} {peer[0]} {peer[1]}\n".encode()


def bound_datagram_socket(address: str, port: int) -> socket.socket:
    """Returns a UDP socket on one address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    bound.bind((address, port))
    return bound


def answer_datagram(name: str, datagrams: socket.socket) -> None:
    """Answers the one datagram that waits."""
    _data, peer = datagrams.recvfrom(256)
    datagrams.sendto(answer(name, peer), peer)


async def serve(name: str, port: int, addresses: list[str]) -> None:
    """Binds TCP and UDP on every address and serves until the process is ended."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(answer(name, writer.get_extra_info("peername")))
            while line := await reader.readline():
                writer.write(line)
        except ConnectionError:
            pass  # a client that resets its connection has seen what it came for
        finally:
            writer.close()

    loop = asyncio.get_running_loop()
    for address in addresses:
        await asyncio.start_server(connected, address, port, backlog=1024)
        datagrams = bound_datagram_socket(address, port)
        loop.add_reader(datagrams, answer_datagram, name, datagrams)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
