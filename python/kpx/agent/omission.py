"""What is not programmed as it says."""

from dataclasses import dataclass

__all__ = ["Omission"]


@dataclass(frozen=True, order=True)
class Omission:
    """An object, or a part of one, that is not programmed as it says."""

    is_refused: bool
    """Whether the kernel refused it; it was rejected when it was read otherwise."""
    kind: str
    name: str
    """`namespace/name`, or `name` for an object without a namespace."""
    reason: str
    is_whole: bool
    """Whether the whole object is left out, not only a part of it."""
