"""What stands in the way of kpx: a kube-proxy that runs, or what one has left behind."""

import json
import socket
from collections.abc import Callable, Set
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

from kpx._core import chain_names, table_names
from kpx.check.finding import Finding, State
from kpx.errors import ObserveFailed
from kpx.kube_proxy import legacy_tables, processes

__all__ = ["find", "iptables"]

_KUBE_PROXY: Final = "kube-proxy"
"""The name of its process, and that of its tables in nftables mode (pkg/proxy/nftables)."""
_PROXY_MODES: Final = ("iptables", "ipvs", "nftables")
_IPTABLES_CHAINS: Final = frozenset(("KUBE-SERVICES", "KUBE-NODEPORTS"))
"""Those of kube-proxy's iptables and IPVS modes that kubelet does not make too."""
_IPTABLES: Final = "kube-proxy-iptables"
_IPVS_INTERFACE: Final = "kube-ipvs0"
_TIMEOUT_SECONDS: Final = 1.0
_LONGEST_BODY: Final = 4096

_STOP: Final = "stop kube-proxy: two proxies would undo each other's work"
_CLEAN: Final = "stop kube-proxy, and run kpx with `--take-over`, or `kube-proxy --cleanup`"


def find() -> list[Finding]:
    """Looks for everything that stands in the way of kpx."""
    return [
        _process(),
        _port("healthz-port", 10256, "/healthz", "--healthz-bind-address", _is_health),
        _port("metrics-port", 10249, "/proxyMode", "--metrics-bind-address", _is_mode),
        _tables(),
        _chains(),
        _ipvs(),
    ]


def _process() -> Finding:
    name = "kube-proxy-process"
    found = sorted(processes())
    if found:
        pids = ", ".join(map(str, found))
        return Finding(name, State.CONFLICT, f"kube-proxy runs as process {pids}", _STOP)
    return Finding(name, State.OK, "no process that can be seen is a kube-proxy")


def _port(
    name: str, port: int, path: str, flag: str, is_kube_proxy: Callable[[bytes], bool]
) -> Finding:
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    where = f"port {port} on loopback"
    other = Finding(
        name, State.CONFLICT, f"{where} is taken by something else", f"choose another with `{flag}`"
    )
    try:
        connection.connect()
    except OSError:
        return Finding(name, State.OK, f"{where} does not answer")
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(_LONGEST_BODY)
    except (OSError, HTTPException):
        return other
    finally:
        connection.close()
    # The bodies of the two are the same on purpose.
    if (response.getheader("Server") or "").split() == ["kpx"]:
        return Finding(name, State.OK, f"{where} is answered by `kpx run`")
    if is_kube_proxy(body):
        return Finding(name, State.CONFLICT, f"{where} is answered by kube-proxy", _STOP)
    return other


def _is_health(body: bytes) -> bool:
    try:
        parsed: Any = json.loads(body)
    except (RecursionError, ValueError):
        return False
    return isinstance(parsed, dict) and {"lastUpdated", "currentTime"} <= parsed.keys()


def _is_mode(body: bytes) -> bool:
    return body.strip().decode(errors="replace") in _PROXY_MODES


def _tables() -> Finding:
    name = "kube-proxy-nftables"
    try:
        tables = table_names()
    except ObserveFailed as failure:
        return Finding(name, State.UNKNOWN, failure.message, failure.hint)
    if _KUBE_PROXY in tables:
        return Finding(name, State.CONFLICT, f"there is an nftables table `{_KUBE_PROXY}`", _CLEAN)
    return Finding(name, State.OK, f"there is no nftables table `{_KUBE_PROXY}`")


def _chains() -> Finding:
    try:
        chains = {chain for _table, chain in chain_names()}
    except ObserveFailed as failure:
        return Finding(_IPTABLES, State.UNKNOWN, failure.message, failure.hint)
    return iptables(chains, legacy_tables())


def iptables(chains: Set[str], legacy: Set[str]) -> Finding:
    """Whether kube-proxy has chains in iptables, as nftables and the older iptables tell."""
    found = sorted(_IPTABLES_CHAINS & chains)
    if found:
        named = " and ".join(f"`{chain}`" for chain in found)
        return Finding(_IPTABLES, State.CONFLICT, f"iptables has {named}", _CLEAN)
    if "nat" in legacy:
        # What is in it is not to be seen over netlink.
        return Finding(
            _IPTABLES,
            State.UNKNOWN,
            "legacy iptables has a table `nat`, which may hold chains of kube-proxy",
            "look with `iptables-legacy-save`; `kube-proxy --cleanup` removes them",
        )
    return Finding(_IPTABLES, State.OK, "iptables has no chain of kube-proxy")


def _ipvs() -> Finding:
    name = "kube-proxy-ipvs"
    try:
        socket.if_nametoindex(_IPVS_INTERFACE)
    except OSError:
        return Finding(name, State.OK, f"there is no interface `{_IPVS_INTERFACE}`")
    return Finding(name, State.CONFLICT, f"there is an interface `{_IPVS_INTERFACE}`", _CLEAN)
