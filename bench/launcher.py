"""Runs commands and says what each cost: a JSON object a line in, and one out.

A process of its own, run by path and small: a child's peak memory starts at that of the process
which forked it.
"""

import json
import os
import subprocess
import sys


def main() -> None:
    """Runs commands until there is none."""
    for line in sys.stdin:
        print(json.dumps(_run(**json.loads(line))), flush=True)


def _run(command: list[str], stdin: str) -> dict[str, object]:
    with open(stdin, "rb") as read:
        process = subprocess.Popen(
            command, stdin=read, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
    assert process.stderr is not None
    said = process.stderr.read(4096)
    while process.stderr.read(1 << 16):
        pass
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "code": process.returncode,
        "said": said.decode(errors="replace"),
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
    }


if __name__ == "__main__":
    main()
