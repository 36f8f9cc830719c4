"""The name servers that are asked for what is outside the zones."""

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kpx.errors import ConfigurationInvalid

__all__ = ["upstream_servers"]

_PORT: Final = 53
_MOST: Final = 3
"""How many servers of a file are taken (resolv.conf(5), MAXNS)."""


def upstream_servers(values: Sequence[str]) -> list[str]:
    """The servers, as `address:port`.

    Args:
        values: Addresses, with or without a port, or files in the form of resolv.conf(5).

    Raises:
        ConfigurationInvalid: A value is none of these, or a file names no server.
    """
    servers: list[str] = []
    for value in values:
        found = _of_file(Path(value)) if "/" in value else [_server(value)]
        servers += [server for server in found if server not in servers]
    return servers


def _of_file(path: Path) -> list[str]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as failure:
        raise ConfigurationInvalid(f"`--upstream`: cannot read `{path}`: {failure}") from failure
    words = (line.split() for line in lines)
    found = [_server(line[1]) for line in words if len(line) > 1 and line[0] == "nameserver"]
    if not found:
        raise ConfigurationInvalid(f"`--upstream`: `{path}` names no server")
    return found[:_MOST]


def _server(text: str) -> str:
    host, port = text, str(_PORT)
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":") if port else str(_PORT)
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        address = ipaddress.ip_address(host)
        if not 0 < int(port) < 1 << 16:
            raise ValueError
    except ValueError as failure:
        raise ConfigurationInvalid(
            f"`--upstream`: `{text}` is not an address, with or without a port, nor a file",
            "such as `192.0.2.53`, `[2001:db8::53]:5353` or `/etc/resolv.conf`",
        ) from failure
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
