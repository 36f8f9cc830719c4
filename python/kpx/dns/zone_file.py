"""Master files (RFC 1035, section 5), which any name server can load."""

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kpx.dns.reload_hook import run_reload_hook
from kpx.errors import KpxError

__all__ = ["RecordSet", "ZoneFile", "ZoneFileUnwritable", "write_zone_file", "zone_text"]

RecordSet = tuple[str, int, str, list[str]]
"""Name, time to live, type, and the data of every record."""

_SERIAL: Final = re.compile(r"^(\S+ \d+ IN SOA \S+ \S+ )(\d+)( .*)$", re.MULTILINE)
_LAST_SERIAL: Final = 2**32 - 1


class ZoneFileUnwritable(KpxError):
    """A zone file could not be read or replaced. What was there is as it was."""


def zone_text(record_sets: Sequence[RecordSet]) -> str:
    """The text of a zone file; the SOA record comes first."""
    return "".join(
        f"{owner} {ttl} IN {record_type} {value}\n"
        for owner, ttl, record_type, data in record_sets
        for value in data
    )


def write_zone_file(path: Path, text: str) -> bool:
    """Replaces a zone file as a whole, if its records changed; returns whether they did.

    The serial is greater than that of the file that is replaced.

    Raises:
        ZoneFileUnwritable: The file there is no zone file of ours, or the new one cannot be
            written.
    """
    serial = int(_serial(text, "the new zone"))
    try:
        before = path.read_text()
    except FileNotFoundError:
        before = ""
    except (OSError, UnicodeDecodeError) as failure:
        raise ZoneFileUnwritable(f"cannot read `{path}`: {failure}") from failure
    if before:
        previous = int(_serial(before, f"`{path}`"))
        if _SERIAL.sub(r"\1\3", before, count=1) == _SERIAL.sub(r"\1\3", text, count=1):
            return False
        serial = max(serial, previous + 1)
        if serial > _LAST_SERIAL:
            raise ZoneFileUnwritable(f"the serial of `{path}` cannot grow any more")
    _replace(path, _SERIAL.sub(rf"\g<1>{serial}\3", text, count=1))
    return True


class ZoneFile:
    """A zone file, and the command that tells a name server of it."""

    def __init__(self, path: Path, command: Sequence[str] = ()) -> None:
        """Writes nothing yet.

        Args:
            path: The file.
            command: What is run when it has changed; nothing if empty.
        """
        self._path = path
        self._command = command
        self._is_untold = False

    def update(self, record_sets: Sequence[RecordSet]) -> bool:
        """Replaces the file if its records changed; returns whether they did.

        Raises:
            ZoneFileUnwritable: See `write_zone_file`.
            ReloadFailed: The command failed; it is run again with the next update.
        """
        changed = write_zone_file(self._path, zone_text(record_sets))
        self._is_untold = self._is_untold or changed
        if self._is_untold and self._command:
            run_reload_hook(self._command)
        self._is_untold = False
        return changed


def _serial(text: str, subject: str) -> str:
    found = _SERIAL.search(text)
    if found is None:
        raise ZoneFileUnwritable(
            f"{subject} has no SOA record as kpx writes it",
            "kpx replaces only zone files that it made; name another file",
        )
    return found.group(2)


def _replace(path: Path, text: str) -> None:
    """Writes a file beside the old one and renames it, so that nobody reads a half of it."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            # A name server of another user reads it.
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as failure:
        raise ZoneFileUnwritable(f"cannot write `{path}`: {failure.strerror}") from failure
