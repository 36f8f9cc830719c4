"""What is compared: each programs the same cluster, and makes the same changes to it.

A peer encodes a change in whatever form it takes, untimed where that form is prebuilt, and then
applies it, timed. It works in the network namespace of the process.
"""

from .agent import Agent
from .core import Core
from .iptables import IptablesLegacy, IptablesNft
from .ipvs import Ipvs, Ipvsadm
from .kernel import Kernel
from .libnftables import Libnftables
from .nft import NftKpx, NftUpstream
from .peer import Peer
from .sync import Sync

_ALL: tuple[type[Peer], ...] = (
    *(Kernel, Core, Sync, Agent),
    *(NftKpx, Libnftables, NftUpstream, IptablesNft, IptablesLegacy),
)
PEERS = {peer.name: peer for peer in _ALL}
"""By the names that results and reports have them under."""
IPVS_PEERS: dict[str, type[Peer]] = {peer.name: peer for peer in (Ipvs, Ipvsadm)}
"""Those that a kernel with IPVS can run besides."""

__all__ = ["IPVS_PEERS", "PEERS", "Peer"]
