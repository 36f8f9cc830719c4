"""Whether a node can run kpx: what it needs, and what stands in its way. Changes nothing."""

from kpx.check import conflicts, needs
from kpx.check.finding import Finding, State

__all__ = ["Finding", "State", "check"]


def check() -> list[Finding]:
    """Looks at this node, in the network namespace of the calling process."""
    return [*needs.find(), *conflicts.find()]
