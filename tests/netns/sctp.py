"""SCTP associations as far as their first two packets, over raw sockets.

A kernel without SCTP sockets still translates and tracks the packets of others. Run as
`sctp.py serve NAME ADDRESS PORT` to answer each INIT with an INIT ACK whose state cookie is
`NAME CLIENT-ADDRESS`, or as `sctp.py connect ADDRESS PORT COUNT` to send INITs and print the
cookies as a JSON list, null where no answer came. Packets are as in RFC 9260, section 3.
"""

import json
import socket
import struct
import sys

COMMON_HEADER = struct.Struct(">HHII")
INIT = struct.Struct(">BBHIIHHI")
INIT_CHUNK, INIT_ACK_CHUNK = 1, 2
STATE_COOKIE = 7
TAG = 0x6B7078
TIMEOUT = 1.0


def crc32c(data: bytes) -> int:
    """Returns the checksum of RFC 9260, appendix A, as the integer that the header holds."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return struct.unpack(">I", struct.pack("<I", crc ^ 0xFFFFFFFF))[0]  # type: ignore[no-any-return]


def packet(
    source: int, destination: int, verification_tag: int, chunk: int, parameters: bytes
) -> bytes:
    """Returns a packet of one INIT or INIT ACK chunk."""
    body = INIT.pack(chunk, 0, INIT.size + len(parameters), TAG, 65536, 1, 1, 1) + parameters
    body += bytes(-len(body) % 4)
    unsummed = COMMON_HEADER.pack(source, destination, verification_tag, 0) + body
    return COMMON_HEADER.pack(source, destination, verification_tag, crc32c(unsummed)) + body


def payload(family: socket.AddressFamily, received: bytes) -> bytes:
    """Returns the SCTP packet in what a raw socket received: IPv4 leaves its header on."""
    return received[(received[0] & 0x0F) * 4 :] if family == socket.AF_INET else received


def raw_socket(address: str) -> tuple[socket.AddressFamily, socket.socket]:
    """Returns a raw SCTP socket of the family of `address`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_SCTP)


def serve(name: str, address: str, port: int) -> None:
    """Answers INITs until the process is ended."""
    family, raw = raw_socket(address)
    raw.bind((address, 0))
    print("ready", flush=True)
    while True:
        received, peer = raw.recvfrom(2048)
        sctp = payload(family, received)
        source, destination, _tag, _checksum = COMMON_HEADER.unpack_from(sctp)
        chunk, _flags, _length, tag, *_rest = INIT.unpack_from(sctp, COMMON_HEADER.size)
        if chunk == INIT_CHUNK and destination == port:
            cookie = f"{name} {peer[0]}".encode()
            parameter = struct.pack(">HH", STATE_COOKIE, 4 + len(cookie)) + cookie
            raw.sendto(packet(destination, source, tag, INIT_ACK_CHUNK, parameter), (peer[0], 0))


def connect(address: str, port: int, source: int) -> str | None:
    """Sends one INIT and returns the cookie of its answer."""
    family, raw = raw_socket(address)
    with raw:
        raw.settimeout(TIMEOUT)
        raw.connect((address, 0))
        raw.send(packet(source, port, 0, INIT_CHUNK, b""))
        try:
            while True:
                sctp = payload(family, raw.recv(2048))
                answered_by, answered_to, _tag, _checksum = COMMON_HEADER.unpack_from(sctp)
                chunk = sctp[COMMON_HEADER.size]
                if (answered_by, answered_to, chunk) == (port, source, INIT_ACK_CHUNK):
                    parameter = COMMON_HEADER.size + INIT.size
                    (length,) = struct.unpack_from(">H", sctp, parameter + 2)
                    return sctp[parameter + 4 : parameter + length].decode()
        except TimeoutError:
            return None


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        address, port, count = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
        json.dump([connect(address, port, 40000 + n) for n in range(count)], sys.stdout)
