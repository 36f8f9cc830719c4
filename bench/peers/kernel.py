"""The physical limit: the kernel alone."""

from typing import Any

from ..changes import Change
from ..netfilter import Sender
from .peer import ReplayingPeer


class Kernel(ReplayingPeer):
    """Sends what kpx sends, prebuilt, and does nothing else."""

    name = "kernel"
    title = "the kernel alone: kpx's transactions, prebuilt, replayed by a minimal sender"
    form = "batch"
    cases = ReplayingPeer.cases - {"restart"}

    def prepare(self) -> None:
        """Records."""
        self._load = self.record()
        self._sender = Sender()

    def load(self) -> None:
        """Sends the first transaction."""
        self._sender.commit(self._load)

    def restart(self) -> None:
        """Has nothing to send."""
        raise NotImplementedError

    def encode(self, change: Change) -> Any:
        """Returns the next transaction."""
        return self.recorded()

    def apply(self, encoded: Any) -> None:
        """Sends a transaction."""
        self._sender.commit(encoded)

    def close(self) -> None:
        """Closes the socket."""
        self._sender.close()
