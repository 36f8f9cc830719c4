"""Shows what programs send to IPVS, through the kernel's own monitor of netlink (`nlmon`).

Run as `monitor.py` in a network namespace; prints `ready`. Each line of the standard input is then
answered with a JSON list of the commands that were sent meanwhile, each in hexadecimal, without
the header of its message.
"""

import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEVICE = "monitor0"
ETH_P_ALL = 3
# <linux/netlink.h>, <linux/genetlink.h>
NETLINK_GENERIC = 16
NLM_F_REQUEST = 1
GENL_ID_CTRL = 0x10
HEADER = struct.Struct("=IHHII")

COMMANDS = {
    1: "NEW_SERVICE",
    2: "SET_SERVICE",
    3: "DEL_SERVICE",
    4: "GET_SERVICE",
    5: "NEW_DEST",
    6: "SET_DEST",
    7: "DEL_DEST",
    8: "GET_DEST",
    12: "SET_CONFIG",
    13: "GET_CONFIG",
    15: "GET_INFO",
}
"""The names of the commands (`IPVS_CMD_*`, <linux/ip_vs.h>)."""


def main() -> None:
    """Listens until the input ends."""
    subprocess.run(["ip", "link", "add", DEVICE, "type", "nlmon"], check=True)
    subprocess.run(["ip", "link", "set", DEVICE, "up"], check=True)
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as tap:
        tap.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
        tap.bind((DEVICE, 0))
        tap.setblocking(False)
        print("ready", flush=True)
        for _ in sys.stdin:
            print(json.dumps(list(captured(tap))), flush=True)


def captured(tap: socket.socket) -> Iterator[str]:
    """Yields the commands to generic netlink that wait."""
    while True:
        try:
            datagram, (_device, protocol, *_rest) = tap.recvfrom(1 << 20)
        except BlockingIOError:
            return
        if protocol != NETLINK_GENERIC:
            continue
        while len(datagram) >= HEADER.size:
            length, kind, flags, _sequence, _port = HEADER.unpack_from(datagram)
            if kind > GENL_ID_CTRL and flags & NLM_F_REQUEST:
                yield datagram[HEADER.size : length].hex()
            datagram = datagram[(length + 3) & ~3 :]


@dataclass(frozen=True)
class Monitor:
    """Such a process."""

    process: "subprocess.Popen[str]"

    def take(self) -> list[str]:
        """Returns what was sent since the last call."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("take\n")
        self.process.stdin.flush()
        sent: list[str] = json.loads(self.process.stdout.readline())
        return sent

    def names(self) -> list[str]:
        """Returns the names of the commands that were sent since the last call."""
        return [COMMANDS[int(command[:2], 16)] for command in self.take()]


@contextmanager
def monitor(namespace: Any) -> Iterator[Monitor]:
    """Runs the process in a namespace for the time of the block."""
    process = namespace.spawn(sys.executable, "-I", str(Path(__file__)), stdin=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Monitor(process)
    finally:
        process.kill()
        process.communicate()
        namespace.run("ip", "link", "delete", DEVICE)


if __name__ == "__main__":
    main()
