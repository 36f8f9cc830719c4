"""`kpx run` as a process in a network namespace, started, killed and looked at."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from fakes.apiserver import write_kubeconfig

PATIENCE = float(os.environ.get("KPX_TEST_PATIENCE", "1"))
WAIT_SECONDS = 30 * PATIENCE
FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode())"


class Process(Protocol):
    """What runs the agent: a `Popen`, or what behaves like one."""

    @property
    def pid(self) -> int:
        """Its number."""

    def poll(self) -> int | None:
        """How it ended; `None` while it runs."""

    def kill(self) -> None:
        """Ends it as `kill -9` does."""

    def wait(self, timeout: float | None = None) -> int:
        """Waits until it has ended, and returns how."""


class AgentProcess:
    """The agent of one node. As a context manager it is dead at the end."""

    def __init__(
        self, enter: Sequence[str], url: str, directory: Path, *options: str, node_name: str
    ) -> None:
        """Starts nothing yet.

        Args:
            enter: The words that enter the node's network namespace.
            url: The API server.
            directory: Where the kubeconfig and the log go.
            options: What `kpx run` is told besides.
            node_name: The name of the node.
        """
        self._enter = enter
        self._log = directory / "agent.log"
        self._log.touch()
        kubeconfig = write_kubeconfig(url, directory)
        self._arguments = [
            *("run", f"--kubeconfig={kubeconfig}", f"--node-name={node_name}", *options)
        ]
        self.process: Process | None = None

    def __enter__(self) -> "AgentProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        assert self.process is None
        self.process = self._spawn()

    def _spawn(self) -> Process:
        command = [*self._enter, sys.executable, "-m", "kpx", *self._arguments]
        with self._log.open("ab") as log:
            return subprocess.Popen(command, stderr=log)

    def kill(self) -> None:
        """Ends it as `kill -9` does, if it runs."""
        if self.process:
            self.process.kill()
            self.process.wait(WAIT_SECONDS)
            self.process = None

    def log(self) -> str:
        """What all that were started have logged."""
        return self._log.read_text()

    def eventually(self, holds: Callable[[], Any], what: str) -> None:
        """Waits until something holds, and fails if the agent ends or it takes too long."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not holds():
            assert self.process is not None
            ended = self.process.poll()
            tail = self.log()[-4000:]
            assert ended is None, f"the agent has ended with {ended}: {tail}"
            assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {what}: {tail}"
            time.sleep(0.05 * PATIENCE)

    def metric(self, name: str) -> float:
        """What it shows as a metric; -1 if nothing."""
        fetched = subprocess.run(
            [*self._enter, sys.executable, "-c", FETCH, "http://127.0.0.1:10249/metrics"],
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_SECONDS,
        ).stdout
        values = [line.split()[-1] for line in fetched.splitlines() if line.startswith(f"{name} ")]
        return float(values[0]) if values else -1

    def resident_bytes(self) -> int:
        """The memory it has."""
        assert self.process is not None
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the kernel tells no size")

    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        assert self.process is not None
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))
