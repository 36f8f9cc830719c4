"""A node to run `kpx` on."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND_SECONDS = 30


@dataclass(frozen=True)
class Node:
    """A network namespace without any table, in which `kpx` runs."""

    enter: tuple[str, ...]
    directory: Path

    def run(
        self, *arguments: str, stdin: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command inside."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in ("KUBECONFIG", "NODE_NAME", "KUBERNETES_SERVICE_HOST")
        }
        return subprocess.run(
            [*self.enter, *arguments],
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
            cwd=self.directory,
            env={**inherited, **environment},
        )

    def kpx(
        self, *arguments: str, stdin: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs `kpx` inside."""
        return self.run(sys.executable, "-m", "kpx", *arguments, stdin=stdin, **environment)

    def write(self, name: str, *objects: dict[str, Any]) -> str:
        """Writes objects as a JSON `List` into the directory that commands run in."""
        body = {"apiVersion": "v1", "kind": "List", "items": objects}
        (self.directory / name).write_text(json.dumps(body))
        return name
