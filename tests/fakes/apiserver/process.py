"""The API server as a process in another network namespace, and what it is told."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fakes.apiserver.store import Object

__all__ = ["ApiServerProcess", "api_server_process"]

ROOT = Path(__file__).parents[2]


class ApiServerProcess:
    """Obeys like `ApiServer`, command by command; several threads may give them."""

    def __init__(self, process: "subprocess.Popen[str]", script: Mapping[str, Any]) -> None:
        self._process = process
        self._lock = threading.Lock()
        self.url = self._exchange(script)

    def put(self, path: str, given: Object) -> Object:
        """Makes or replaces an object; gives it as it is kept."""
        made: Object = self.tell("put", path, given)
        return made

    def remove(self, path: str, namespace: str, name: str) -> None:
        """Deletes an object, if there is one."""
        self.tell("remove", path, namespace, name)

    def get(self, path: str) -> list[Object]:
        """The objects of a collection."""
        items: list[Object] = self.tell("get", path)
        return items

    def inject(self, path: str, what: str, **fault: Any) -> int:
        """Does something to the open watches of a collection, and says to how many."""
        count: int = self.tell("inject", path, {"what": what, **fault})
        return count

    def tell(self, command: str, path: str, *arguments: Any) -> Any:
        """Gives a command, and returns its answer once it is carried out."""
        return json.loads(self._exchange([command, path, *arguments]))

    def _exchange(self, words: Any) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        assert answer, "the API server has ended"
        return answer.strip()


@contextmanager
def api_server_process(
    enter: Sequence[str], objects: Mapping[str, list[Object]], **settings: Any
) -> Iterator[ApiServerProcess]:
    """Runs the server behind the words that enter a namespace, for the time of the block."""
    with subprocess.Popen(
        [*enter, sys.executable, "-m", "fakes.apiserver"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        try:
            yield ApiServerProcess(process, {"objects": objects, **settings})
        finally:
            process.kill()
