"""Tells when the kernel has committed a change, whoever made it."""

import socket
import struct
import time
from collections.abc import Callable, Iterator

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

    def close(self) -> None:
        """Listens no more."""
        self._socket.close()


def _kinds(received: bytes) -> Iterator[int]:
    offset = 0
    while offset + _HEADER_LENGTH <= len(received):
        length, kind = _HEADER.unpack_from(received, offset)
        yield kind & 0xFF
        offset += (length + 3) & ~3 or _HEADER_LENGTH
