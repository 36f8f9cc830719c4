"""What IPVS needs of a node beyond virtual servers: the module itself, sysctls, timeouts."""

from pathlib import Path
from typing import Final

from kpx._core import probe_ipvs, set_ipvs_timeouts
from kpx.config import Backend, IpvsTimeouts, Settings
from kpx.errors import CommitFailed

__all__ = ["prepare", "sysctls"]

_DIRECTORY: Final = Path("/proc/sys")
_SYSCTLS: Final = {
    # Connections of IPVS are tracked too, so that they can be masqueraded.
    "net.ipv4.vs.conntrack": "1",
    # A connection to an endpoint that is gone ends with its next packet.
    "net.ipv4.vs.expire_nodest_conn": "1",
    # A client does not keep to an endpoint that takes nothing new.
    "net.ipv4.vs.expire_quiescent_template": "1",
}
"""Those of kube-proxy (`NewProxier` of pkg/proxy/ipvs), which IPVS has in every network namespace.

`net.ipv4.vs.conn_reuse_mode` is right since Linux 5.9, and older ones are not supported."""
_STRICT_ARP: Final = {
    "net.ipv4.conf.all.arp_ignore": "1",
    "net.ipv4.conf.all.arp_announce": "2",
}
"""So that the node does not claim the addresses of load balancers, which it has on a device."""


def sysctls(settings: Settings) -> dict[str, str]:
    """The sysctls that the settings ask for, with their values; none but for IPVS."""
    if settings.backend is not Backend.IPVS:
        return {}
    return _SYSCTLS | (_STRICT_ARP if settings.ipvs_strict_arp else {})


def prepare(settings: Settings, *, directory: Path = _DIRECTORY) -> None:
    """Makes IPVS ready, if it is what is to be programmed; sysctls are files below `directory`.

    Raises:
        ObserveFailed: The kernel has no IPVS.
        CommitFailed: A sysctl or a timeout cannot be set.
    """
    if settings.backend is not Backend.IPVS:
        return
    probe_ipvs()
    for name, value in sysctls(settings).items():
        _set(directory.joinpath(*name.split(".")), name, value)
    timeouts = settings.ipvs_timeouts
    if timeouts != IpvsTimeouts():
        set_ipvs_timeouts(timeouts.tcp, timeouts.tcp_fin, timeouts.udp)


def _set(path: Path, name: str, value: str) -> None:
    try:
        # Where it is right already, it need not be writable, as it is not in most containers.
        if path.read_text().strip() != value:
            path.write_text(value)
    except OSError as failure:
        raise CommitFailed(
            f"cannot set `{name}` to {value}: {failure.strerror}",
            f"set it on the node with `sysctl -w {name}={value}`, and in /etc/sysctl.d",
        ) from failure
