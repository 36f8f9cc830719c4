"""What kpx needs of a node."""

import os
import re
from pathlib import Path
from typing import Final

from kpx._core import probe_ipvs, table_names
from kpx.check.finding import Finding, State
from kpx.config import Backend
from kpx.errors import ObserveFailed

__all__ = ["find", "kernel"]

_CAP_NET_ADMIN: Final = 12
"""`uapi/linux/capability.h`."""
_LEAST_KERNEL: Final = (5, 13)
"""As kube-proxy's nftables mode asks for (pkg/proxy/nftables, KEP-3866)."""
_FORWARDING: Final = {
    "ipv4-forwarding": "net.ipv4.ip_forward",
    "ipv6-forwarding": "net.ipv6.conf.all.forwarding",
}
_GLOBAL_SCOPE: Final = "00"
"""Of /proc/net/if_inet6, as `ipv6_addr_scope` tells it (`net/ipv6/addrconf.c`)."""


def find(backend: Backend) -> list[Finding]:
    """Looks for everything that kpx needs to program a node with a backend."""
    return [
        _net_admin(),
        _nftables(),
        *((_ipvs(),) if backend is Backend.IPVS else ()),
        kernel(os.uname().release),
        *(_forwarding(name, sysctl) for name, sysctl in _FORWARDING.items()),
    ]


def kernel(release: str) -> Finding:
    """Whether a kernel of a release, such as `6.1.0-18-amd64`, is new enough."""
    least = ".".join(map(str, _LEAST_KERNEL))
    numbers = re.match(r"(\d+)\.(\d+)", release)
    if numbers is None:
        return Finding("kernel", State.UNKNOWN, f"the release `{release}` has no number")
    if (int(numbers[1]), int(numbers[2])) < _LEAST_KERNEL:
        return Finding(
            "kernel", State.MISSING, f"Linux {release}", f"kpx needs Linux {least} or newer"
        )
    return Finding("kernel", State.OK, f"Linux {release}")


def _net_admin() -> Finding:
    status = _read("/proc/self/status") or ""
    capabilities = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    if capabilities is None:
        return Finding("net-admin", State.UNKNOWN, "/proc/self/status names no capabilities")
    if int(capabilities[1], 16) >> _CAP_NET_ADMIN & 1:
        return Finding("net-admin", State.OK, "the process has CAP_NET_ADMIN")
    return Finding(
        "net-admin",
        State.MISSING,
        "the process lacks CAP_NET_ADMIN",
        "run as root, or add the capability `NET_ADMIN`",
    )


def _nftables() -> Finding:
    try:
        count = len(table_names())
    except ObserveFailed as failure:
        return Finding("nftables", State.MISSING, failure.message, failure.hint)
    return Finding("nftables", State.OK, f"answers over netlink; names of tables: {count}")


def _ipvs() -> Finding:
    try:
        count = probe_ipvs()
    except ObserveFailed as failure:
        return Finding("ipvs", State.MISSING, failure.message, failure.hint)
    return Finding("ipvs", State.OK, f"answers over netlink; virtual servers: {count}")


def _forwarding(name: str, sysctl: str) -> Finding:
    value = _read(f"/proc/sys/{sysctl.replace('.', '/')}")
    is_ipv6 = name.startswith("ipv6")
    if value is None:
        return Finding(name, State.UNKNOWN, f"`{sysctl}` cannot be read")
    if value.strip() != "0":
        return Finding(name, State.OK, f"`{sysctl}` is on")
    if is_ipv6 and not _has_ipv6():
        return Finding(name, State.OK, f"`{sysctl}` is off, but the node has no IPv6 address")
    return Finding(
        name,
        State.MISSING,
        f"`{sysctl}` is off: packets to endpoints elsewhere are not forwarded",
        f"set it with `sysctl -w {sysctl}=1`, and in /etc/sysctl.d",
    )


def _has_ipv6() -> bool:
    """Whether the node has an IPv6 address beyond the loopback and its links."""
    # A line is: address, interface index, prefix length, scope, flags, interface.
    lines = (_read("/proc/net/if_inet6") or "").splitlines()
    return any(fields[3:4] == [_GLOBAL_SCOPE] for fields in map(str.split, lines))


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text()
    except OSError:
        return None
