"""The command line: `kpx`."""

from kpx.cli.entry import main

__all__ = ["main"]
