"""kpx as a command."""

import sysconfig
from pathlib import Path
from typing import Any

from .. import cases
from ..changes import Change
from .peer import CommandPeer


class Sync(CommandPeer):
    """`kpx sync` of manifests: the whole process, its start and the reading of files included."""

    name = "sync"
    title = "the whole process `kpx sync -f`, from JSON manifests"
    cases = frozenset({"cold", "restart"})

    def prepare(self) -> None:
        """Writes the manifests."""
        self._manifests = self.directory / "manifests"
        self._manifests.mkdir()
        pages = cases.lists(range(self.cluster.services), self.cluster.endpoints)
        for name, page in zip(("services", "slices"), pages, strict=True):
            (self._manifests / f"{name}.json").write_bytes(page)

    def load(self) -> None:
        """Runs it."""
        kpx = Path(sysconfig.get_path("scripts")) / "kpx"
        options = ("--node-name", cases.NODE_NAME, "--cluster-cidr", cases.CLUSTER_CIDR)
        self.run(str(kpx), "sync", "-f", str(self._manifests), *options, "-o", "json")

    def restart(self) -> None:
        """Runs it once more."""
        self.load()

    def encode(self, change: Change) -> Any:
        """Makes no change."""
        raise NotImplementedError

    def apply(self, encoded: Any) -> None:
        """Makes no change."""
        raise NotImplementedError
