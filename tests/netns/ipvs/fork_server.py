"""Runs commands of kpx, each in a process that is forked off this one, which has imported all.

What they do is the same from their first line on, but on an emulated processor they begin seconds
earlier. Run as `fork_server.py`; prints `ready`. Each line of the standard input is a JSON list,
and is answered with a line of JSON:

- `["start", ARGUMENTS, OUTPUT, LOG]` runs `kpx ARGUMENTS`, writes its standard output to one file
  and adds its standard error to another; gives the number of the process
- `["wait", NUMBER]` waits until a process has ended, and `["poll", NUMBER]` does not; both give how
  it ended, as `subprocess` does, or null
"""

import json
import os
import sys
from importlib import import_module
from typing import Any

IMPORTED = ("kpx.cli.commands", "kpx.agent", "kubernetes.client", "kubernetes.config")
"""What `kpx run` and `kpx plan` import sooner or later."""


def obey(command: str, arguments: list[Any]) -> int | None:
    """Carries a command out, and returns its answer."""
    match command:
        case "start":
            return started(*arguments)
        case "poll" | "wait":
            process, status = os.waitpid(arguments[0], os.WNOHANG if command == "poll" else 0)
            return os.waitstatus_to_exitcode(status) if process else None
    raise ValueError(f"`{command}` is no command")


def started(arguments: list[str], output: str, log: str) -> int:
    """Starts a command of kpx, and returns the number of its process."""
    if process := os.fork():
        return process
    code = 1
    try:
        new = os.O_WRONLY | os.O_CREAT
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(output, new | os.O_TRUNC, 0o600), 1)
        os.dup2(os.open(log, new | os.O_APPEND, 0o600), 2)
        sys.argv = ["kpx", *arguments]
        code = import_module("kpx.cli").main()
        sys.stdout.flush()
    finally:
        # What is left to do at an exit belongs to the process this was forked off.
        os._exit(code)


def main() -> None:
    """Obeys until the input ends."""
    for name in IMPORTED:
        import_module(name)
    print("ready", flush=True)
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        print(json.dumps(obey(command, arguments)), flush=True)


if __name__ == "__main__":
    main()
