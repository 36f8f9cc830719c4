"""Whether a node can run kpx: what it needs, and what stands in its way. Changes nothing."""

from kpx.check import conflicts, needs
from kpx.check.finding import Finding, State
from kpx.config import Backend

__all__ = ["Finding", "State", "check"]


def check(backend: Backend) -> list[Finding]:
    """Looks at this node, in the network namespace of the calling process.

    What a backend needs beside nftables is looked for where it is the one to be used.
    """
    return [*needs.find(backend), *conflicts.find()]
