"""Network namespaces, entered through `ip netns exec`."""

import os
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

SESSION = uuid.uuid4().hex[:6]
"""Tells the namespaces of this test session from those of another."""


PATIENCE = float(os.environ.get("KPX_TEST_PATIENCE", "1"))
"""How many times longer than usual to wait: more than 1 on a machine that is emulated."""


@dataclass(frozen=True)
class Namespace:
    """One named network namespace."""

    name: str

    def command(self, *arguments: str) -> list[str]:
        """Returns the command line which runs `arguments` inside the namespace."""
        return ["ip", "netns", "exec", self.name, *arguments]

    def run(
        self,
        *arguments: str,
        stdin: str | None = None,
        check: bool = True,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command inside the namespace to its end and returns what it printed."""
        completed = subprocess.run(
            self.command(*arguments),
            input="" if stdin is None else stdin,
            capture_output=True,
            text=True,
            timeout=timeout * PATIENCE,
            check=False,
        )
        if check and completed.returncode != 0:
            raise AssertionError(
                f"{' '.join(arguments)} in {self.name} exited with {completed.returncode}:\n"
                f"{completed.stdout}{completed.stderr}"
            )
        return completed

    def spawn(
        self, *arguments: str, stdin: int | IO[str] | None = subprocess.DEVNULL
    ) -> "subprocess.Popen[str]":
        """Starts a command inside the namespace, with its standard output as a pipe."""
        return subprocess.Popen(
            self.command(*arguments), stdin=stdin, stdout=subprocess.PIPE, text=True
        )

    def configure(self, commands: Sequence[str]) -> None:
        """Runs `ip` commands, given without the leading `ip`, as one batch."""
        completed = subprocess.run(
            ["ip", "-netns", self.name, "-batch", "-"],
            input="\n".join(commands),
            capture_output=True,
            text=True,
            timeout=30 * PATIENCE,
            check=False,
        )
        if completed.returncode != 0:
            raise AssertionError(f"ip in {self.name}: {completed.stderr}")

    def set_sysctls(self, **values: int) -> None:
        """Sets kernel parameters; `__` in a name stands for the dot of the kernel's name."""
        settings = [f"{name.replace('__', '.')}={value}" for name, value in values.items()]
        self.run("sysctl", "-q", "-w", *settings)


@contextmanager
def namespace(role: str) -> Iterator[Namespace]:
    """Makes a namespace with its loopback up, and deletes it with all it holds."""
    made = Namespace(f"kpx-{SESSION}-{role}")
    subprocess.run(["ip", "netns", "add", made.name], check=True, timeout=30 * PATIENCE)
    try:
        # A check for duplicate addresses would only delay the first packets.
        made.set_sysctls(net__ipv6__conf__all__accept_dad=0, net__ipv6__conf__default__accept_dad=0)
        made.configure(["link set lo up"])
        yield made
    finally:
        subprocess.run(["ip", "netns", "delete", made.name], check=True, timeout=30 * PATIENCE)
