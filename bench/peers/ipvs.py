"""IPVS, on kernels that have it: by kpx, and by `ipvsadm`."""

import subprocess
import time
from pathlib import Path
from typing import Any

from ..changes import Change
from ..layouts import ipvsadm
from ..recording import fed
from .core import Core
from .peer import CommandPeer, forget_peak


class Ipvs(Core):
    """kpx's core with the backend IPVS: virtual servers, their addresses, and rules of nftables."""

    name = "ipvs"
    title = "kpx, the core with `--backend ipvs`"
    reads_mixed = False
    cases = Core.cases - {"traffic"}

    def prepare(self) -> None:
        """Feeds the lists."""
        # IPVS takes no destination where the network namespace has no address.
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        forget_peak()
        self._feed()

    def load(self) -> None:
        """Programs everything."""
        self._proxier.sync()

    def prepare_restart(self) -> None:
        """Feeds another core the same lists."""
        self._feed()

    def restart(self) -> None:
        """Reads the kernel and compares."""
        report = self._proxier.sync(full=True)
        assert report.operations == 0, f"{report.operations} operations"

    def encode(self, change: Change) -> Any:
        """Returns the watch events; deletes what the change before left to drain."""
        self._proxier.drain(time.monotonic())
        self._proxier.sync()
        return list(change.events())

    def apply(self, encoded: Any) -> None:
        """Takes in the events and programs them."""
        for line in encoded:
            self._proxier.feed_event(line)
        self._proxier.sync()

    def _feed(self) -> None:
        self._proxier = fed(self.cluster.services, self.cluster.endpoints, self.kind, "ipvs")


class Ipvsadm(CommandPeer):
    """`ipvsadm -R` of the virtual servers alone."""

    name = "ipvsadm"
    title = "`ipvsadm -R`, the virtual servers alone"
    cases = CommandPeer.cases - {"traffic"}

    def prepare(self) -> None:
        """Writes the load."""
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        self._load = self.write(ipvsadm.load(self.cluster))

    def load(self) -> None:
        """Restores it."""
        self.apply(self._load)

    def prepare_restart(self) -> None:
        """Writes the load."""
        self._load = self.write(ipvsadm.load(self.cluster))

    def restart(self) -> None:
        """Clears all and restores it, as `ipvsadm` compares nothing."""
        self.run("ipvsadm", "-C")
        self.load()

    def encode(self, change: Change) -> Any:
        """Writes a change."""
        return self.write(ipvsadm.change(change))

    def apply(self, encoded: Any) -> None:
        """Restores a file."""
        assert isinstance(encoded, Path)
        self.run("ipvsadm", "-R", stdin=encoded)
