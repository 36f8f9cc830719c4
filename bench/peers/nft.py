"""The `nft` command, a process for every step as kube-proxy runs it."""

from pathlib import Path
from typing import Any

from ..changes import Change
from ..layouts import kube_proxy
from .peer import CommandPeer, ReplayingPeer


class NftUpstream(CommandPeer):
    """`nft -f` of kube-proxy's layout."""

    name = "nft-upstream"
    title = "`nft -f` with the layout of kube-proxy 1.36: a chain and a map for each Service"

    def prepare(self) -> None:
        """Writes the load."""
        self._load = self.write(kube_proxy.load(self.cluster))

    def load(self) -> None:
        """Loads it."""
        self.apply(self._load)

    def prepare_restart(self) -> None:
        """Writes the load over what is there."""
        self._reload = self.write(kube_proxy.reload(self.cluster))

    def restart(self) -> None:
        """Loads it again."""
        self.apply(self._reload)

    def encode(self, change: Change) -> Any:
        """Writes a change."""
        return self.write(kube_proxy.change(change))

    def apply(self, encoded: Any) -> None:
        """Loads a file."""
        self.run("nft", "-f", str(encoded))


class NftKpx(CommandPeer, ReplayingPeer):
    """`nft -f` of what kpx writes."""

    name = "nft-kpx"
    title = "`nft -f` with kpx's layout: what `kpx plan -o nft` prints"
    form = "nft"

    def prepare(self) -> None:
        """Records."""
        self._text = self.record().decode()
        self._load = self.write(self._text)

    def load(self) -> None:
        """Loads the first text."""
        self.apply(self._load)

    def prepare_restart(self) -> None:
        """Has the tables replaced, as `nft` compares nothing itself."""
        self._reload = self.write(f"delete table ip kpx\ndelete table ip6 kpx\n{self._text}")

    def restart(self) -> None:
        """Loads everything again."""
        self.apply(self._reload)

    def encode(self, change: Change) -> Any:
        """Writes the next text."""
        return self.write(self.recorded().decode())

    def apply(self, encoded: Any) -> None:
        """Loads a file."""
        assert isinstance(encoded, Path)
        self.run("nft", "-f", str(encoded))
