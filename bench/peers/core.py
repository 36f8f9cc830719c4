"""kpx's core."""

from typing import Any

from kpx import Proxier

from ..changes import Change
from ..recording import fed
from .peer import Peer, forget_peak


class Core(Peer):
    """Plans and commits inside this process; of a change, decodes the watch events besides."""

    name = "core"
    title = "kpx, the core: from the bytes of the watch event to the end of the commit"
    reads_mixed = True
    _proxier: Proxier

    def prepare(self) -> None:
        """Feeds the lists, of which the load is planned."""
        forget_peak()
        self._proxier = fed(self.cluster.services, self.cluster.endpoints, self.kind)

    def load(self) -> None:
        """Plans and commits everything."""
        self._proxier.apply(self._proxier.plan())

    def prepare_restart(self) -> None:
        """Feeds another core the same lists."""
        self._proxier = fed(self.cluster.services, self.cluster.endpoints, self.kind)

    def restart(self) -> None:
        """Reads the kernel and compares."""
        report = self._proxier.apply(self._proxier.plan())
        assert report.operations == 0, f"{report.operations} operations"

    def encode(self, change: Change) -> Any:
        """Returns the watch events."""
        return list(change.events())

    def apply(self, encoded: Any) -> None:
        """Takes in the events, plans and commits."""
        for line in encoded:
            self._proxier.feed_event(line)
        self._proxier.apply(self._proxier.plan_changes())
