"""The messages that the Rust core is held to are those that pyroute2 writes.

`rust/ipvs/tests/kernel/encoding.rs` compares kpx's own bytes with the same file. To write it anew,
run `python tests/ipvs/test_messages.py > rust/ipvs/tests/messages.txt`.
"""

import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyroute2.netlink import NLA_F_NESTED, NLM_F_ACK, NLM_F_REQUEST
from pyroute2.netlink.generic import ipvs

MESSAGES = Path(__file__).parents[2] / "rust/ipvs/tests/messages.txt"
FAMILY = 0x1F
"""The number of the IPVS family, which a kernel would give out."""

OWNED = 1 << 30
"""The flag of a service that kpx made."""
PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}

Attributes = list[tuple[str, Any]]

WEB = ("tcp", "10.96.0.10", 80)
WEB_IPV6 = ("sctp", "fd00:10:96::a", 8080)
DNS = ("udp", "10.96.0.53", 53)


def key(protocol: str, address: str, port: int) -> Attributes:
    """Returns what identifies a service."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return [
        ("IPVS_SVC_ATTR_AF", int(family)),
        ("IPVS_SVC_ATTR_PROTOCOL", PROTOCOLS[protocol]),
        ("IPVS_SVC_ATTR_ADDR", union(address)),
        ("IPVS_SVC_ATTR_PORT", port),
    ]


MARK: Attributes = [("IPVS_SVC_ATTR_AF", int(socket.AF_INET6)), ("IPVS_SVC_ATTR_FWMARK", 7)]


def union(address: str) -> bytes:
    """Returns an address as `union nf_inet_addr`: 16 bytes, of which IPv4 uses the first 4."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address).ljust(16, b"\0")


def service(
    identity: Attributes, scheduler: str, flags: int = OWNED, timeout: int = 0, netmask: bytes = b""
) -> Attributes:
    """Returns all of a service; `netmask` is that of single addresses unless it is given."""
    single = b"\xff" * 4 if identity[0][1] == socket.AF_INET else struct.pack("=I", 128)
    return [
        *identity,
        ("IPVS_SVC_ATTR_SCHED_NAME", scheduler),
        ("IPVS_SVC_ATTR_FLAGS", {"flags": flags, "mask": 0xFFFFFFFF}),
        ("IPVS_SVC_ATTR_TIMEOUT", timeout),
        ("IPVS_SVC_ATTR_NETMASK", socket.inet_ntoa(netmask or single)),
    ]


def destination_key(address: str, port: int) -> Attributes:
    """Returns what identifies a destination."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return [
        ("IPVS_DEST_ATTR_ADDR_FAMILY", int(family)),
        ("IPVS_DEST_ATTR_ADDR", union(address)),
        ("IPVS_DEST_ATTR_PORT", port),
    ]


def destination(
    address: str, port: int, weight: int, method: int = 0, upper: int = 0, lower: int = 0
) -> Attributes:
    """Returns all of a destination."""
    return [
        *destination_key(address, port),
        ("IPVS_DEST_ATTR_FWD_METHOD", method),
        ("IPVS_DEST_ATTR_WEIGHT", weight),
        ("IPVS_DEST_ATTR_U_THRESH", upper),
        ("IPVS_DEST_ATTR_L_THRESH", lower),
    ]


class Message(ipvs.ipvsmsg):  # type: ignore[misc]
    """pyroute2's message, whose addresses are 16 bytes long as ipvsadm's are."""

    class service(ipvs.ipvsmsg.service):  # type: ignore[misc]
        nla_map = tuple(
            (name, "cdata" if name == "IPVS_SVC_ATTR_ADDR" else kind)
            for name, kind in ipvs.ipvsmsg.service.nla_map
        )

    class dest(ipvs.ipvsmsg.dest):  # type: ignore[misc]
        nla_map = tuple(
            (name, "cdata" if name == "IPVS_DEST_ATTR_ADDR" else kind)
            for name, kind in ipvs.ipvsmsg.dest.nla_map
        )

    nla_map = tuple(
        (name, "uint32" if "TIMEOUT" in name else kind) for name, kind in ipvs.ipvsmsg.nla_map
    )


def encode(sequence: int, command: int, attributes: Attributes) -> bytes:
    """Returns the bytes of a message."""
    message = Message()
    message["header"]["type"] = FAMILY
    message["header"]["flags"] = NLM_F_REQUEST | NLM_F_ACK
    message["header"]["sequence_number"] = sequence
    message["cmd"] = command
    message["version"] = ipvs.GENL_VERSION
    message["attrs"] = [
        (name, {"attrs": value}) if isinstance(value, list) else (name, value)
        for name, value in attributes
    ]
    message.encode()
    return marked_as_nested(bytes(message.data))


def marked_as_nested(message: bytes) -> bytes:
    """Sets the flag that says so on the outermost attributes which are lists, as new kernels ask.

    pyroute2 knows no flags for this family.
    """
    marked, start = bytearray(message), 20
    while start < len(marked):
        length, kind = struct.unpack_from("=HH", marked, start)
        if kind & ~NLA_F_NESTED in (1, 2):
            struct.pack_into("=H", marked, start + 2, kind | NLA_F_NESTED)
        start += (length + 3) & ~3
    return bytes(marked)


def samples() -> Iterator[tuple[str, int, Attributes]]:
    """The commands of `rust/ipvs/tests/samples`, in their order."""
    web, first = key(*WEB), ("10.244.1.11", 8080)
    prefix = struct.pack("=I", 64)

    def both(of: Attributes, to: Attributes) -> Attributes:
        return [("IPVS_CMD_ATTR_SERVICE", of), ("IPVS_CMD_ATTR_DEST", to)]

    def only(of: Attributes) -> Attributes:
        return [("IPVS_CMD_ATTR_SERVICE", of)]

    yield "add-service", ipvs.IPVS_CMD_NEW_SERVICE, only(service(web, "rr"))
    sticky = service(key(*WEB_IPV6), "wlc", OWNED | 0x1, 300, prefix)
    yield "add-service-ipv6", ipvs.IPVS_CMD_NEW_SERVICE, only(sticky)
    one_packet = service(key(*DNS), "rr", 0x4)
    yield "add-service-one-packet", ipvs.IPVS_CMD_NEW_SERVICE, only(one_packet)
    yield "add-service-mark", ipvs.IPVS_CMD_NEW_SERVICE, only(service(MARK, "nq"))
    sticky = service(web, "mh", OWNED | 0x1 | 0x8 | 0x10, 10800, b"\xff\xff\xff\0")
    yield "change-service", ipvs.IPVS_CMD_SET_SERVICE, only(sticky)
    yield "add-destination", ipvs.IPVS_CMD_NEW_DEST, both(web, destination(*first, 1))
    bounded = destination("10.244.2.12", 80, 65535, 3, 100, 50)
    yield "add-destination-bounded", ipvs.IPVS_CMD_NEW_DEST, both(web, bounded)
    far = destination("fd00:10:244::b", 8080, 3)
    yield "add-destination-ipv6", ipvs.IPVS_CMD_NEW_DEST, both(key(*WEB_IPV6), far)
    yield "change-destination", ipvs.IPVS_CMD_SET_DEST, both(web, destination(*first, 0))
    gone = destination_key("10.244.2.12", 80)
    yield "delete-destination", ipvs.IPVS_CMD_DEL_DEST, both(web, gone)
    yield "delete-service", ipvs.IPVS_CMD_DEL_SERVICE, only(MARK)
    timeouts = (("TCP", 900), ("TCP_FIN", 0), ("UDP", 250))
    attributes = [(f"IPVS_CMD_ATTR_TIMEOUT_{name}", seconds) for name, seconds in timeouts]
    yield "set-timeouts", ipvs.IPVS_CMD_SET_CONFIG, attributes


def messages() -> str:
    """Returns the file: a name and the bytes of a message on each line."""
    lines = ["# Messages to a little-endian kernel as pyroute2 writes them; see test_messages.py."]
    for sequence, (name, command, attributes) in enumerate(samples(), start=1):
        lines.append(f"{name} {encode(sequence, command, attributes).hex()}")
    return "\n".join(lines) + "\n"


def test_the_messages_are_those_of_pyroute2() -> None:
    assert MESSAGES.read_text() == messages()


if __name__ == "__main__":
    sys.stdout.write(messages())
