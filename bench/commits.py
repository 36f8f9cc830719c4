"""Tells when the kernel has committed a change, whoever made it."""

import re
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence

# <linux/netlink.h>, <linux/netfilter/nfnetlink.h>, <linux/netfilter/nf_tables.h>
_NETLINK_NETFILTER, _NFNLGRP_NFTABLES, _NFT_MSG_NEWGEN = 12, 7, 15
_SO_RCVBUFFORCE = 33
_HEADER = struct.Struct("=IH")
_HEADER_LENGTH = 16


class Commits:
    """The notifications of one network namespace."""

    def __init__(self) -> None:
        """Listens from now on."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 256 << 20)
        self._socket.bind((0, 1 << (_NFNLGRP_NFTABLES - 1)))

    def wait(self, seconds: float, still: Callable[[], bool], holding: bytes = b"") -> bool:
        """Waits for the end of a commit whose notifications hold these bytes.

        Says whether it came in time, and while there was `still` anybody to make one. Where more
        came than fits, the commit that was too large counts.
        """
        deadline = time.perf_counter() + seconds
        held = not holding
        while (left := deadline - time.perf_counter()) > 0:
            self._socket.settimeout(min(left, 0.5))
            try:
                received = self._socket.recv(1 << 20)
            except TimeoutError:
                if not still():
                    return False
                continue
            except OSError:  # ENOBUFS
                return True
            held = held or holding in received
            if held and _NFT_MSG_NEWGEN in _kinds(received):
                return True
        return False

    def first_told(self, addresses: Sequence[bytes], seconds: float) -> dict[bytes, float]:
        """Returns when each of these IPv4 addresses was first in a notification.

        By the clock `time.perf_counter`; ends when all were, or after so many seconds, without
        those that were not. All begin with the same byte, and none is programmed already.
        """
        pattern = re.compile(b"(?=(%b...))" % re.escape(addresses[0][:1]), re.DOTALL)
        wanted, found = set(addresses), dict[bytes, float]()
        deadline = time.perf_counter() + seconds
        while wanted and (left := deadline - time.perf_counter()) > 0:
            self._socket.settimeout(left)
            try:
                received = self._socket.recv(1 << 20)
            except OSError:  # nothing came, or more than fits was lost
                continue
            now = time.perf_counter()
            for address in wanted.intersection(pattern.findall(received)):
                found[address] = now
                wanted.remove(address)
        return found

    def close(self) -> None:
        """Listens no more."""
        self._socket.close()


def _kinds(received: bytes) -> Iterator[int]:
    offset = 0
    while offset + _HEADER_LENGTH <= len(received):
        length, kind = _HEADER.unpack_from(received, offset)
        yield kind & 0xFF
        offset += (length + 3) & ~3 or _HEADER_LENGTH
