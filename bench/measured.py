"""Runs a command in a fresh network namespace and says what it cost.

The command is started by a small process of its own (this file as a script): a child's peak memory
starts at that of the process which forked it.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """What one run of a command cost."""

    seconds: float
    """Wall time from start to exit."""
    peak_bytes: int
    """The most memory that was resident at once."""
    stdout: str
    """What it printed."""


def run(*command: str) -> Run:
    """Runs a command in a network namespace of its own.

    Raises `AssertionError` with its standard error where it fails.
    """
    completed = subprocess.run(
        ["unshare", "--net", sys.executable, "-I", __file__, *command],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return Run(**json.loads(completed.stdout))


def _measure(command: list[str]) -> None:
    # Real-time, the command included: what else the machine does must not show as a percentile.
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    started = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    stdout = process.stdout.read()
    _pid, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[0]} exited with {process.returncode}")
    json.dump(
        {"seconds": seconds, "peak_bytes": usage.ru_maxrss * 1024, "stdout": stdout}, sys.stdout
    )


if __name__ == "__main__":
    _measure(sys.argv[1:])
