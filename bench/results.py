"""What was measured, and how it is kept: a JSON file with the machine it was measured on."""

import json
import math
import os
import platform
import re
import statistics
import subprocess
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

FORMAT = "kpx-bench/1"
DONE, UNFINISHED, FAILED, UNTRIED = "done", "did not finish", "failed", "not tried"
"""How the measurement of a case ended. What did not finish took longer than `Results.bound`; what
did not finish a smaller size is not tried on a larger one."""

CASES = {
    "cold": "cold load",
    "restart": "restart, nothing changed",
    "endpoint": "one endpoint changes",
    "added": "one Service added",
    "removed": "one Service removed",
    "rolling": "a tenth of all endpoints replaced at once",
    "burst": "an endpoint of every other Service replaced at once",
    "steady": "1,000 endpoints changing a second",
    "connect": "a new connection",
    "connect-updating": "a new connection while endpoints change",
    "flow": "a new UDP flow",
}
"""All cases, with what a reader is told of them."""


@dataclass
class Measurement:
    """One peer doing one thing at one size, again and again."""

    peer: str
    case: str
    services: int
    endpoints: int
    kind: str = "plain"
    outcome: str = DONE
    reason: str = ""
    seconds: list[float] = field(default_factory=list)
    """How long each time took."""
    cpu_seconds: float | None = None
    """Processor time in user and kernel mode, of one time on average."""
    peak_bytes: int | None = None
    """The most memory that was resident at once in the process that programs."""
    kernel_bytes: list[int] = field(default_factory=list)
    """How much more the kernel held after each time; of a cold load alone.

    A figure of the whole machine: on a busy one it says little, and may be negative.
    """
    sent_bytes: float | None = None
    """What was sent to the kernel, each time on average."""
    messages: float | None = None
    """How many netlink messages that was."""

    @property
    def key(self) -> tuple[str, str, int, int, str]:
        """What tells it from all others of a run."""
        return (self.peer, self.case, self.services, self.endpoints, self.kind)

    def percentile(self, percent: int) -> float:
        """Returns a percentile of the seconds: the least value that so many do not exceed."""
        ranked = sorted(self.seconds)
        return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)]

    @property
    def p50(self) -> float:
        """The median."""
        return statistics.median(self.seconds)

    @property
    def p99(self) -> float:
        """The 99th percentile: the largest value where there are fewer than a hundred."""
        return self.percentile(99)


@dataclass
class Results:
    """One run on one machine."""

    plan: str
    bound: float
    """After how many seconds a step counts as not finished."""
    measurements: list[Measurement]
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    took_seconds: float = 0.0

    def get(
        self, peer: str, case: str, services: int, endpoints: int = 10, kind: str = "plain"
    ) -> Measurement | None:
        """Returns a measurement, whatever its outcome."""
        key = (peer, case, services, endpoints, kind)
        return next((one for one in self.measurements if one.key == key), None)

    def write(self, path: Path) -> None:
        """Writes the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Reads such a file. Raises `ValueError` for another one."""
        content = json.loads(path.read_text())
        if content.pop("format", None) != FORMAT:
            raise ValueError(f"`{path}` has no results in the format `{FORMAT}`")
        listed = [Measurement(**one) for one in content.pop("measurements")]
        return cls(measurements=listed, **content)


def exponent(points: list[tuple[int, float]]) -> float | None:
    """Fits `y = a * x ** b` to points by least squares of their logarithms, and returns `b`."""
    if len({x for x, _y in points}) < 2 or any(y <= 0 for _x, y in points):
        return None
    return statistics.linear_regression(
        [math.log(x) for x, _y in points], [math.log(y) for _x, y in points]
    ).slope


def this_machine() -> dict[str, Any]:
    """Describes the machine, with how busy it was when this was called."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cpus": os.cpu_count(),
        "memory_bytes": memory,
        "kernel": platform.release(),
        "load": os.getloadavg()[0],
    }


def these_versions() -> dict[str, str]:
    """Returns the versions of what is compared."""
    tools = {
        "nft": ("nft", "--version"),
        "iptables-nft": ("iptables-nft", "--version"),
        "iptables-legacy": ("iptables-legacy", "--version"),
    }
    if Path("/proc/net/ip_vs").exists():  # without, `ipvsadm` does not even tell its version
        tools["ipvsadm"] = ("ipvsadm", "--version")
    said = {
        name: subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        for name, command in tools.items()
    }
    packages = {name: version(name) for name in ("kpx", "pip-nftables")}
    return {**said, **packages, "python": platform.python_version()}
