"""What `ipvsadm` sends to the kernel, captured by the kernel's own monitor of netlink.

`rust/ipvs/tests/ipvsadm.txt` holds it, and `rust/ipvs/tests/kernel/encoding.rs` compares our own
messages with it on any machine. Here `ipvsadm` runs again, to show that it does send that. To write
the file anew, have a guest run `python tests/netns/ipvs/test_wire.py` and take what it prints.
"""

import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CAPTURED = Path(__file__).parents[3] / "rust/ipvs/tests/ipvsadm.txt"
"""Lines of options to `ipvsadm`, a tab, and what it sends behind the header of its message."""

MONITOR = "nlmon-test"
ETH_P_ALL = 3
# <linux/netlink.h>, <linux/ip_vs.h>
NETLINK_GENERIC = 16
HEADER = struct.Struct("=IHHII")
GENL_ID_CTRL = 0x10
READING = (4, 8, 13, 15)
"""IPVS_CMD_GET_SERVICE, GET_DEST, GET_CONFIG and GET_INFO."""


@contextmanager
def monitor() -> Iterator[socket.socket]:
    """A socket that is given every netlink message of the network namespace."""
    subprocess.run(["modprobe", "-a", "nlmon", "ip_vs"], check=True)
    subprocess.run(["ip", "link", "add", MONITOR, "type", "nlmon"], check=True)
    try:
        subprocess.run(["ip", "link", "set", MONITOR, "up"], check=True)
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as tap:
            tap.bind((MONITOR, 0))
            tap.settimeout(10)
            yield tap
    finally:
        subprocess.run(["ip", "link", "delete", MONITOR], check=True)


def sent(tap: socket.socket, options: str) -> str:
    """Runs `ipvsadm` and returns the one command it sends, without the message's header."""
    subprocess.run(["ipvsadm", *options.split()], check=True)
    # `ipvsadm` has been answered, so all of it is there; a sentinel ends the reading.
    found = []
    for message in read_all(tap):
        _length, kind, flags, _sequence, _port = HEADER.unpack_from(message)
        is_request = flags & 1
        if kind > GENL_ID_CTRL and is_request and message[HEADER.size] not in READING:
            found.append(message[HEADER.size :].hex())
    (command,) = found
    return command


def read_all(tap: socket.socket) -> Iterator[bytes]:
    """Yields the messages of generic netlink that have been captured."""
    tap.setblocking(False)
    while True:
        try:
            message, (_device, protocol, *_rest) = tap.recvfrom(65536)
        except BlockingIOError:
            return
        if protocol == NETLINK_GENERIC:
            (length,) = struct.unpack_from("=I", message)
            yield message[:length]


def captured() -> list[tuple[str, str]]:
    """Returns the options and the messages that were captured once."""
    lines = CAPTURED.read_text().splitlines()
    return [
        (options, command)
        for options, _, command in (line.partition("\t") for line in lines)
        if not options.startswith("#")
    ]


def capture(every: list[str]) -> list[tuple[str, str]]:
    """Runs `ipvsadm` with some options, one after the other, and returns what it sends."""
    with monitor() as tap:
        return [(options, sent(tap, options)) for options in every]


def test_ipvsadm_sends_what_was_captured() -> None:
    expected = captured()
    assert capture([options for options, _command in expected]) == expected


if __name__ == "__main__":
    print("# What ipvsadm 1.31 sends to a little-endian kernel, captured by test_wire.py.")
    for options, command in capture([options for options, _command in captured()]):
        sys.stdout.write(f"{options}\t{command}\n")
