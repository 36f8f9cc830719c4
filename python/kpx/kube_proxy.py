"""The kube-proxy of this node: whether it runs, and how what it left behind is taken over.

Taken away is what is certainly its own: its nftables tables, its chains among those of iptables (as
far as the kernel keeps them in nftables), and its device `kube-ipvs0`. Where that is, the IPVS
services that kpx did not make become its own, but for those in `excludeCIDRs` of kube-proxy's
configuration: what is wanted of them is kept with its connections. Its ipsets stay; nothing refers
to them any more.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from kpx._core import claim_kube_proxy_ipvs, remove_kube_proxy_rules
from kpx.errors import TakeOverFailed

__all__ = ["legacy_tables", "processes", "refuse_beside", "take_over"]

_NAME: Final = "kube-proxy"
_LEGACY_TABLES: Final = ("/proc/net/ip_tables_names", "/proc/net/ip6_tables_names")


def processes() -> Iterator[int]:
    """The kube-proxies that can be seen, without those of other network namespaces."""
    own = os.stat("/proc/self/ns/net")
    for directory in Path("/proc").iterdir():
        if not directory.name.isdecimal():
            continue
        try:
            if (directory / "comm").read_text().rstrip("\n") != _NAME:
                continue
        except OSError:
            # It has ended meanwhile.
            continue
        try:
            namespace = os.stat(directory / "ns" / "net")
        except OSError:
            # We may not know, so it counts.
            namespace = own
        if os.path.samestat(namespace, own):
            yield int(directory.name)


def legacy_tables() -> set[str]:
    """The tables of the older iptables, whose contents are not to be seen over netlink."""
    found: set[str] = set()
    for path in _LEGACY_TABLES:
        try:
            found.update(Path(path).read_text().split())
        except OSError:
            continue
    return found


def refuse_beside() -> None:
    """Makes sure that no kube-proxy runs, which would put back what is taken from it.

    Raises:
        TakeOverFailed: One does.
    """
    if pids := sorted(processes()):
        raise TakeOverFailed(
            f"kube-proxy still runs, as process {', '.join(map(str, pids))}",
            "stop it first: it would put back what `--take-over` removes",
        )


def take_over(excluded: Iterable[str]) -> list[str]:
    """Removes what kube-proxy left behind, or makes it ours, and says what that was, a line each.

    The node must be programmed already: until then, what is left is better than nothing. If
    anything was left, it has to be compared with the kernel once more.

    Args:
        excluded: The CIDRs in which IPVS services are not kube-proxy's.

    Raises:
        TakeOverFailed: A kube-proxy runs, or something cannot be removed. What was removed before
            that is gone; the rest is as it was.
    """
    refuse_beside()
    lines = [*remove_kube_proxy_rules(), *claim_kube_proxy_ipvs([*excluded])]
    if "nat" in legacy_tables():
        lines.append(
            "not removed: legacy iptables has a table `nat`, into which netlink does not reach;"
            " look with `iptables-legacy-save`, and run `kube-proxy --cleanup` if it has"
            " `KUBE-SERVICES`"
        )
    return lines
