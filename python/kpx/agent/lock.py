"""One agent a node: a lock in the network namespace that it programs."""

import socket
from types import TracebackType
from typing import Final

from kpx.errors import AgentRunning

__all__ = ["Lock"]

_NAME: Final = "\0kpx-agent"
"""An abstract socket: it belongs to the network namespace, needs no file, and ends with us."""


class Lock:
    """Held while the context is open, and not beyond the life of the process."""

    def __enter__(self) -> "Lock":
        """Takes the lock.

        Raises:
            AgentRunning: Another process has it.
        """
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.bind(_NAME)
        except OSError as failure:
            self._socket.close()
            raise AgentRunning(
                "another `kpx run` programs this node",
                "stop it first; two would undo each other's work",
            ) from failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Gives the lock back."""
        self._socket.close()
