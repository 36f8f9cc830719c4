"""Sends prebuilt nftables transactions to the kernel, and nothing else: the yardstick for kpx."""

import os
import socket
import struct

# <linux/netlink.h>, <asm-generic/socket.h>
NETLINK_NETFILTER = 12
SO_SNDBUFFORCE = 32
_HEADER_LENGTH = 16
_ERROR = struct.Struct("=i")


class Sender:
    """A socket that stays open, as that of kpx does.

    Closing it waits until the kernel has freed what the last transactions removed: a grace period
    of RCU, 15 ms or so.
    """

    def __init__(self) -> None:
        """Opens the socket."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._room = 0

    def commit(self, batch: bytes) -> None:
        """Sends a batch as one datagram. The kernel has committed it when the send returns.

        Raises `OSError` with the first error the kernel reports; it reports nothing else.
        """
        if len(batch) > self._room:
            self._room = len(batch)
            self._socket.setsockopt(
                socket.SOL_SOCKET, SO_SNDBUFFORCE, min(2 * len(batch) + 4096, (1 << 31) - 1)
            )
        self._socket.send(batch)
        try:
            reply = self._socket.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        (error,) = _ERROR.unpack_from(reply, _HEADER_LENGTH)
        raise OSError(-error, os.strerror(-error))

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()
