"""Runs commands of kpx without the time that imports take; see `fork_server.py`."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_process import AgentProcess, Process

from ..cluster import NODE_NAME, sync_options
from ..namespace import Namespace

SERVER = str(Path(__file__).with_name("fork_server.py"))


@dataclass(frozen=True)
class Forks:
    """The process that others are forked off."""

    process: "subprocess.Popen[str]"

    def tell(self, command: str, *arguments: Any) -> Any:
        """Has a command carried out, and returns its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([command, *arguments]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the process has ended on `{command}`"
        return json.loads(answer)

    def run(self, directory: Path, *arguments: str) -> str:
        """Runs a command of kpx to its end, and returns what it printed."""
        output, log = directory / "output", directory / "errors"
        number = self.tell("start", arguments, str(output), str(log))
        code = self.tell("wait", number)
        assert code == 0, f"{arguments} ended with {code}: {log.read_text()[-2000:]}"
        return output.read_text()


@contextmanager
def forks(namespace: Namespace) -> Iterator[Forks]:
    """Runs the process in a namespace for the time of the block."""
    process = namespace.spawn(sys.executable, SERVER, stdin=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Forks(process)
    finally:
        process.kill()
        process.communicate()


@dataclass(frozen=True)
class Fork:
    """A process that was forked off."""

    forks: Forks
    pid: int

    def poll(self) -> int | None:
        """Says how it ended; `None` while it runs."""
        ended: int | None = self.forks.tell("poll", self.pid)
        return ended

    def kill(self) -> None:
        """Ends it as `kill -9` does."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Waits until it has ended, and says how; after `kill` that takes no time worth a bound."""
        del timeout
        ended: int = self.forks.tell("wait", self.pid)
        return ended


class ForkedAgent(AgentProcess):
    """`kpx run` on the node, forked off."""

    def __init__(self, forks: Forks, namespace: Namespace, url: str, directory: Path) -> None:
        """Starts nothing yet."""
        enter = namespace.command()
        super().__init__(enter, url, directory, *sync_options(), node_name=NODE_NAME)
        self._forks = forks

    def _spawn(self) -> Process:
        pid = self._forks.tell("start", self._arguments, os.devnull, str(self._log))
        return Fork(self._forks, pid)
