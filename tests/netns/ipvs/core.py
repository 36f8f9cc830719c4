"""The core of kpx in a process of its own, which is told events and when to program them.

Run as `core.py NODE_NAME`. Each line of the standard input is a JSON list, and is answered with
a line of JSON:

- `["event", TYPE, OBJECT]` tells it what happened to an object
- `["sync"]` programs what changed, and gives the number of operations; `["repair"]` compares all
  with the kernel, and does the same
- `["settle", SECONDS]` deletes what has drained by this time of any clock, and does the same
- `["audit"]` says whether somebody else has changed anything, as far as was looked
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpx import Proxier


def obey(proxier: Proxier, command: str, arguments: list[Any]) -> Any:
    """Carries a command out, and returns its answer."""
    match command:
        case "event":
            kind, changed = arguments
            proxier.feed_event(json.dumps({"type": kind, "object": changed}).encode())
            return None
        case "sync":
            return synced(proxier)
        case "repair":
            return synced(proxier, full=True)
        case "settle":
            proxier.drain(arguments[0])
            return synced(proxier)
        case "audit":
            return proxier.drifted()
    raise ValueError(f"`{command}` is no command")


def synced(proxier: Proxier, *, full: bool = False) -> int:
    """Programs what changed, or the difference to all that is desired."""
    report = proxier.sync(full=full)
    assert not report.failures, report.failures
    return report.operations


def main() -> None:
    """Obeys until the input ends."""
    proxier = Proxier(json.dumps({"node_name": sys.argv[1], "backend": "ipvs"}))
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        print(json.dumps(obey(proxier, command, arguments)), flush=True)


@dataclass(frozen=True)
class Core:
    """Such a process."""

    process: "subprocess.Popen[str]"

    def __call__(self, command: str, *arguments: Any) -> Any:
        """Has a command carried out, and returns its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([command, *arguments]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the core ended on `{command}`"
        return json.loads(answer)

    def put(self, items: Iterable[dict[str, Any]]) -> int:
        """Programs objects that are new or changed, and gives the number of operations."""
        for item in items:
            self("event", "MODIFIED", item)
        operations: int = self("sync")
        return operations


@contextmanager
def core(namespace: Any, node_name: str) -> Iterator[Core]:
    """Runs the process in a namespace for the time of the block."""
    process = namespace.spawn(sys.executable, str(Path(__file__)), node_name, stdin=subprocess.PIPE)
    try:
        yield Core(process)
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    main()
