"""Sends prebuilt nftables transactions to the kernel, and nothing else: the yardstick for kpx."""

import os
import socket
import struct

# <linux/netlink.h>, <asm-generic/socket.h>
NETLINK_NETFILTER = 12
SO_SNDBUFFORCE = 32
_HEADER_LENGTH = 16
_ERROR = struct.Struct("=i")


def commit(batch: bytes) -> None:
    """Sends a batch as one datagram. The kernel has committed it when the send returns.

    Raises `OSError` with the first error the kernel reports; it reports nothing else.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
        kernel.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 2 * len(batch) + 4096)
        kernel.send(batch)
        try:
            reply = kernel.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
    (error,) = _ERROR.unpack_from(reply, _HEADER_LENGTH)
    raise OSError(-error, os.strerror(-error))
