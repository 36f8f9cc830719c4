"""`iptables-restore`, over nf_tables and over the legacy interface."""

from typing import Any

from ..changes import Change
from ..layouts import iptables
from .peer import CommandPeer


class Iptables(CommandPeer):
    """`iptables-restore --noflush` of the classic layout."""

    command = "iptables-restore"

    def prepare(self) -> None:
        """Writes the load."""
        self._load = self.write(iptables.load(self.cluster))

    def load(self) -> None:
        """Loads it."""
        self.apply(self._load)

    def prepare_restart(self) -> None:
        """Writes the load over what is there."""
        self._reload = self.write(iptables.reload(self.cluster))

    def restart(self) -> None:
        """Loads it again."""
        self.apply(self._reload)

    def encode(self, change: Change) -> Any:
        """Writes a change."""
        return self.write(iptables.change(self.cluster, change))

    def apply(self, encoded: Any) -> None:
        """Loads a file."""
        self.run(self.command, "--noflush", str(encoded))


class IptablesNft(Iptables):
    """Over nf_tables."""

    name = "iptables-nft"
    title = "`iptables-nft-restore` with the classic KUBE-SVC layout"
    command = "iptables-nft-restore"


class IptablesLegacy(Iptables):
    """Over the legacy interface."""

    name = "iptables-legacy"
    title = "`iptables-legacy-restore` with the classic KUBE-SVC layout"
    command = "iptables-legacy-restore"
