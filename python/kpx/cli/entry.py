"""The entry point: from arguments to an exit code."""

import os
import signal
import sys

from kpx._core import __version__

__all__ = ["main"]


def main() -> int:
    """Runs the command that the arguments name, and returns the exit code of the process."""
    arguments = sys.argv[1:]
    if arguments in (["version"], ["--version"]):
        # Importing the parser of arguments takes several times as long as this answer.
        print(f"kpx {__version__}")
        return 0
    try:
        from kpx.cli.commands import execute

        code = execute(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not trip over it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code
