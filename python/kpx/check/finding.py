"""What was found out about one thing."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["Finding", "State"]


class State(str, Enum):
    """How it is about a thing."""

    OK = "ok"
    MISSING = "missing"
    """kpx needs it."""
    CONFLICT = "conflict"
    """Somebody else does, or did, what kpx is to do, or has what it uses."""
    UNKNOWN = "unknown"
    """It could not be found out."""


@dataclass(frozen=True)
class Finding:
    """What was found out about one thing."""

    name: str
    """A fixed name for machines, such as `ipv4-forwarding`."""
    state: State
    detail: str
    """What is there."""
    hint: str | None = None
    """What the reader can do about it."""
