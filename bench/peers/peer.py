"""What all peers have in common."""

import json
import os
import resource
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from .. import recording
from ..changes import Change, Cluster

_LAUNCHER = Path(__file__).parent.parent / "launcher.py"


class Peer(ABC):
    """Programs one cluster. `prepare` and `encode` are not timed, all else is."""

    name: ClassVar[str]
    """What results call it."""
    title: ClassVar[str]
    """What a reader is told of it."""
    cases: ClassVar[frozenset[str]] = frozenset(
        {"cold", "restart", "endpoint", "service", "rolling", "traffic"}
    )
    """What it can do."""
    reads_mixed: ClassVar[bool] = False
    """Whether it can program Services of all kinds (`mixed.py`)."""
    recorded_before: ClassVar[bool] = False
    """Whether its changes were recorded before, so that none may be left out."""

    def __init__(
        self, cluster: Cluster, kind: str, counts: dict[str, int], directory: Path
    ) -> None:
        """Takes a cluster, `plain` or `mixed`, and how many changes of each case there will be.

        `directory` is for its files.
        """
        self.cluster, self.kind, self.counts = cluster, kind, counts
        self.directory = directory

    @abstractmethod
    def prepare(self) -> None:
        """Makes what the load takes for granted."""

    @abstractmethod
    def load(self) -> None:
        """Programs everything where nothing is programmed."""

    def prepare_restart(self) -> None:  # noqa: B027 - most need nothing
        """Makes what the restart takes for granted."""

    @abstractmethod
    def restart(self) -> None:
        """Starts over where everything is programmed already."""

    @abstractmethod
    def encode(self, change: Change) -> Any:
        """Returns a change, which the cluster has made already, in the form that `apply` takes."""

    @abstractmethod
    def apply(self, encoded: Any) -> None:
        """Programs a change."""

    def follow(self, encoded: list[Any], period: float) -> list[float]:
        """Programs changes that come at a rate, one in so many seconds; those whose `cases` have
        `steady`. Returns how long after it should have come each was programmed.
        """
        raise NotImplementedError

    def cpu_seconds(self) -> float:
        """Returns the processor time so far of all that programs."""
        return sum(
            usage.ru_utime + usage.ru_stime
            for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )

    def peak_bytes(self) -> int:
        """Returns the most memory that was resident at once in the process that programs."""
        return resident_peak(os.getpid())

    def close(self) -> None:  # noqa: B027 - most have nothing to end
        """Ends what still runs."""


class CommandPeer(Peer):
    """Starts a command for every step. What it costs is what the commands cost."""

    def __init__(
        self, cluster: Cluster, kind: str, counts: dict[str, int], directory: Path
    ) -> None:
        """As any peer."""
        super().__init__(cluster, kind, counts, directory)
        self._cpu_seconds, self._peak_bytes, self._files = 0.0, 0, 0
        self._launcher = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCHER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def cpu_seconds(self) -> float:
        """Returns the processor time of the commands so far."""
        return self._cpu_seconds

    def peak_bytes(self) -> int:
        """Returns the most memory that was resident at once in one of the commands."""
        return self._peak_bytes

    def write(self, text: str) -> Path:
        """Writes what a command will read."""
        self._files += 1
        path = self.directory / f"step-{self._files % 2}"
        path.write_text(text)
        return path

    def run(self, *command: str, stdin: Path = Path("/dev/null")) -> None:
        """Runs a command; raises `AssertionError` with what it said where it fails."""
        assert self._launcher.stdin is not None
        assert self._launcher.stdout is not None
        self._launcher.stdin.write(json.dumps({"command": command, "stdin": str(stdin)}) + "\n")
        self._launcher.stdin.flush()
        ended = json.loads(self._launcher.stdout.readline())
        self._cpu_seconds += ended["cpu_seconds"]
        self._peak_bytes = max(self._peak_bytes, ended["peak_bytes"])
        assert ended["code"] == 0, ended["said"]

    def close(self) -> None:
        """Ends the launcher."""
        self._launcher.communicate("")


class ReplayingPeer(Peer):
    """Writes what kpx writes, as it was recorded before in another network namespace."""

    form: ClassVar[str]
    """`batch` or `nft`."""
    reads_mixed = True
    recorded_before = True
    _steps: Iterator[bytes]

    def record(self) -> bytes:
        """Makes the recording, and returns the step that loads everything."""
        path = self.directory / "recording"
        size = (str(self.cluster.services), str(self.cluster.endpoints))
        command = [sys.executable, "-m", "bench.recording", self.form, str(path), *size, self.kind]
        subprocess.run(["unshare", "--net", *command, json.dumps(self.counts)], check=True)
        self._steps = recording.read(path)
        return next(self._steps)

    def recorded(self) -> bytes:
        """Returns the next step."""
        return next(self._steps)


def resident_peak(pid: int) -> int:
    """Returns the most memory in bytes that was resident in a process since it began."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel tells no peak")


def forget_peak() -> None:
    """Lets the peak of this process begin again at what is resident now (Linux, proc(5))."""
    Path("/proc/self/clear_refs").write_text("5")
