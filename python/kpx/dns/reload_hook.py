"""The command that tells a name server of a new zone file."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from kpx.errors import KpxError

__all__ = ["ReloadFailed", "run_reload_hook"]

_SECONDS: Final = 60.0


class ReloadFailed(KpxError):
    """A name server could not be told of a new zone file. The file stays."""


def run_reload_hook(command: Sequence[str]) -> None:
    """Runs a command, without a shell, and waits for it; what it writes goes to stderr.

    Raises:
        ReloadFailed: It could not be run, took too long, or ended with another status than 0.
    """
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=sys.stderr, timeout=_SECONDS, check=False
        )
    except OSError as failure:
        raise ReloadFailed(f"cannot run `{command[0]}`: {failure.strerror}") from failure
    except subprocess.TimeoutExpired as failure:
        raise ReloadFailed(f"`{command[0]}` took more than {_SECONDS:.0f} s") from failure
    if done.returncode:
        raise ReloadFailed(
            f"`{command[0]}` ended with status {done.returncode}",
            "the zone file is written; the name server has yet to be told",
        )
