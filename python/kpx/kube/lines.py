"""Bytes as they come, cut into lines."""

from typing import Final

__all__ = ["LONGEST_LINE_BYTES", "Lines"]

LONGEST_LINE_BYTES: Final = 16 << 20
"""No object is as long: etcd takes 1.5 MiB, and the API server requests of 3 MiB."""


class Lines:
    """Cuts a stream into lines, keeping no more than the longest line allowed.

    Attributes:
        overlong: How many lines were longer, and were left out.
    """

    def __init__(self, longest: int = LONGEST_LINE_BYTES) -> None:
        """Starts at the beginning of a line."""
        self._longest = longest
        self._parts: list[bytes] = []
        self._length = 0
        self._skipping = False
        self.overlong = 0

    def add(self, chunk: bytes) -> list[bytes]:
        """The lines that a chunk completes, without their ends and without empty ones."""
        head, newline, rest = chunk.partition(b"\n")
        if not newline:
            self._keep(chunk)
            return []
        lines: list[bytes] = []
        self._keep(head)
        if not self._skipping:
            lines.append(b"".join(self._parts))
        self._parts.clear()
        self._length = 0
        self._skipping = False
        if rest:
            more = rest.split(b"\n")
            self._keep(more.pop())
            for line in more:
                if len(line) > self._longest:
                    self.overlong += 1
                else:
                    lines.append(line)
        return [line for line in lines if line]

    def _keep(self, part: bytes) -> None:
        if self._skipping or not part:
            return
        self._length += len(part)
        if self._length > self._longest:
            self._parts.clear()
            self._skipping = True
            self.overlong += 1
            return
        self._parts.append(part)
