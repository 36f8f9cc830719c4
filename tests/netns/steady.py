"""Runs the client that stays, and says what it sees."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .namespace import PATIENCE, Namespace

CLIENT = str(Path(__file__).with_name("steady_client.py"))


class SteadyClient:
    """Carries out one command after the other; see `steady_client.py`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def __call__(self, **command: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the client has ended"
        return json.loads(answer)


@contextmanager
def steady_client(source: Namespace, *address: str) -> Iterator[SteadyClient]:
    """Runs the client in a namespace for the time of the block, perhaps at one of its addresses."""
    process = source.spawn(sys.executable, "-I", CLIENT, *address, stdin=subprocess.PIPE)
    try:
        yield SteadyClient(process)
    finally:
        process.kill()
        process.communicate(timeout=10 * PATIENCE)
