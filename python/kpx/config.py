"""The settings of a node."""

import json
import os
import socket
from dataclasses import dataclass
from enum import Enum

from kpx.errors import ConfigurationInvalid

__all__ = [
    "Backend",
    "ConntrackSettings",
    "IpvsTimeouts",
    "LocalMode",
    "Settings",
    "default_node_name",
]


class Backend(str, Enum):
    """What programs the node; the values are those of kube-proxy's `mode`."""

    NFTABLES = "nftables"
    IPVS = "ipvs"


class LocalMode(str, Enum):
    """How to tell whether a connection comes from a Pod of this node."""

    CLUSTER_CIDR = "ClusterCIDR"
    NODE_CIDR = "NodeCIDR"
    BRIDGE_INTERFACE = "BridgeInterface"
    INTERFACE_NAME_PREFIX = "InterfaceNamePrefix"


@dataclass(frozen=True)
class IpvsTimeouts:
    """For how many seconds IPVS remembers an idle connection; 0 leaves it as it is."""

    tcp: int = 0
    tcp_fin: int = 0
    """Of a TCP connection that one side has closed."""
    udp: int = 0


@dataclass(frozen=True)
class Settings:
    """How one node is programmed. What is `None` or empty is left to the core's defaults."""

    node_name: str
    backend: Backend = Backend.NFTABLES
    cluster_cidrs: tuple[str, ...] = ()
    detect_local_mode: LocalMode | None = None
    detect_local_interface: str | None = None
    nodeport_addresses: tuple[str, ...] = ()
    masquerade_all: bool | None = None
    masquerade_bit: int | None = None
    counters: bool = False
    """Whether connections are counted; each element then costs the kernel some memory more."""
    ipvs_scheduler: str | None = None
    """The scheduler of Services that name none."""
    ipvs_strict_arp: bool = False
    """Whether the node answers ARP only for addresses of the device that is asked."""
    ipvs_timeouts: IpvsTimeouts = IpvsTimeouts()
    ipvs_exclude_cidrs: tuple[str, ...] = ()
    """Where virtual servers are not kube-proxy's: they stay when what it left is taken over."""

    def __post_init__(self) -> None:
        """Refuses what makes no sense.

        Raises:
            ConfigurationInvalid: The node has no name.
        """
        if not self.node_name:
            raise ConfigurationInvalid("the node has no name", "pass `--node-name`")

    def to_core(self) -> str:
        """The JSON object that the constructor of `kpx.Proxier` takes."""
        values = {
            "node_name": self.node_name,
            "backend": self.backend.value,
            "ipvs_scheduler": self.ipvs_scheduler,
            "cluster_cidrs": list(self.cluster_cidrs),
            "detect_local_mode": self.detect_local_mode and self.detect_local_mode.value,
            "detect_local_interface": self.detect_local_interface,
            "nodeport_addresses": list(self.nodeport_addresses),
            "masquerade_all": self.masquerade_all,
            "masquerade_bit": self.masquerade_bit,
            "counters": self.counters or None,
        }
        return json.dumps(
            {name: value for name, value in values.items() if value not in (None, [])}
        )


@dataclass(frozen=True)
class ConntrackSettings:
    """How connections are tracked: `conntrack` of `KubeProxyConfiguration` v1alpha1.

    The defaults are its own. A number of 0 leaves the kernel's setting alone. Times are seconds.
    """

    max_per_core: int = 32768
    """Flows tracked at most, for each core."""
    min: int = 131072
    """The least of what that makes."""
    tcp_established_timeout: float = 86400.0
    tcp_close_wait_timeout: float = 3600.0
    tcp_be_liberal: bool = False
    """Whether packets outside the window are tracked too."""
    udp_timeout: float = 0.0
    udp_stream_timeout: float = 0.0


def default_node_name() -> str:
    """`$NODE_NAME`, or the host name as kube-proxy takes it: trimmed and in lower case."""
    return os.environ.get("NODE_NAME") or socket.gethostname().strip().lower()
