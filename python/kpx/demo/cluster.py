"""Network namespaces that make a cluster of one node: a client, the node, and Pods.

    client eth0 --- node uplink        the world outside the cluster
                    node pods (bridge) --- eth0 of each Pod

Used by the demo; needs root, or the root of a user namespace, and a writable `/run`.
"""

import json
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

from kpx.errors import DemoFailed

__all__ = ["Cluster", "Connections", "Namespace", "Pod"]

NODE_ADDRESS: Final = "192.0.2.1"
CLIENT_ADDRESS: Final = "192.0.2.2"
POD_GATEWAY: Final = "10.244.0.1"
POD_CIDR: Final = "10.244.0.0/24"
POD_PORT: Final = 8080

_COMMAND_SECONDS: Final = 30.0
"""How long any command may take before it counts as stuck."""


class Namespace:
    """A network namespace with a name, deleted by `close`."""

    def __init__(self, name: str) -> None:
        """Creates it, with its loopback up."""
        self.name = name
        ip("netns", "add", name)
        self.ip("link", "set", "lo", "up")

    def close(self) -> None:
        """Deletes it; processes in it keep it alive, so they must have ended."""
        ip("netns", "delete", self.name)

    def command(self, *arguments: str) -> list[str]:
        """The command that runs another one inside."""
        return ["nsenter", f"--net=/run/netns/{self.name}", *arguments]

    def ip(self, *arguments: str) -> None:
        """Runs `ip` on it."""
        ip("-n", self.name, *arguments)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a command inside and waits for its end, whatever its exit code."""
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            check=False,
            timeout=_COMMAND_SECONDS,
        )

    def python(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a Python module inside and waits for its end, whatever its exit code."""
        return self.run(sys.executable, "-m", module, *arguments)


@dataclass
class Pod:
    """A server in a namespace of its own."""

    name: str
    address: str
    namespace: Namespace
    server: subprocess.Popen[str]

    def close(self) -> None:
        """Ends the server, and removes the namespace with its link."""
        self.server.kill()
        self.server.wait()
        if self.server.stdout is not None:
            self.server.stdout.close()
        self.namespace.close()


@dataclass(frozen=True)
class Connections:
    """What came of connections."""

    answers: Counter[str]
    """How many each Pod answered."""
    failures: Counter[str]
    """How many failed for each reason, such as `timed out`."""

    def __str__(self) -> str:
        """The counts in a line."""
        counts = sorted(self.answers.items()) + sorted(self.failures.items())
        return "   ".join(f"{name}: {number}" for name, number in counts)


@dataclass
class Cluster:
    """A client, a node and Pods. As a context manager it removes everything at the end."""

    client: Namespace = field(init=False)
    node: Namespace = field(init=False)
    pods: dict[str, Pod] = field(default_factory=dict, init=False)
    _cleanup: ExitStack = field(default_factory=ExitStack, init=False)

    def __enter__(self) -> "Cluster":
        """Builds the client and the node, without any Pod."""
        with ExitStack() as cleanup:
            self.client = _namespace("client", cleanup)
            self.node = _namespace("node", cleanup)
            self._link_client()
            self._make_bridge()
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends all Pods and removes all namespaces."""
        for name in list(self.pods):
            self.remove_pod(name)
        self._cleanup.close()

    def add_pod(self, name: str, address: str) -> Pod:
        """Starts a Pod and waits until it listens."""
        with ExitStack() as cleanup:
            namespace = _namespace(name, cleanup)
            self.node.ip(
                *("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            )
            self.node.ip("link", "set", name, "master", "pods", "up")
            namespace.ip("address", "add", f"{address}/24", "dev", "eth0")
            namespace.ip("link", "set", "eth0", "up")
            namespace.ip("route", "add", "default", "via", POD_GATEWAY)
            server = subprocess.Popen(
                namespace.command(*(sys.executable, "-m", "kpx.demo.server", name, str(POD_PORT))),
                stdout=subprocess.PIPE,
                text=True,
            )
            pod = Pod(name, address, namespace, server)
            cleanup.pop_all()
            self.pods[name] = pod
        if server.stdout is None or server.stdout.readline() != "listening\n":
            raise DemoFailed(f"the server of `{name}` did not start")
        return pod

    def remove_pod(self, name: str) -> None:
        """Ends a Pod and removes it."""
        self.pods.pop(name).close()

    def connect(self, address: str, port: int, times: int) -> Connections:
        """Connects from the client, each time anew; gives up after a few failures."""
        result = self.client.python("kpx.demo.client", address, str(port), str(times))
        if result.returncode != 0:
            raise DemoFailed(f"the client failed: {result.stderr.strip()}")
        counts = json.loads(result.stdout)
        return Connections(Counter(counts["answers"]), Counter(counts["failures"]))

    def _link_client(self) -> None:
        self.node.ip(
            *("link", "add", "uplink", "type", "veth", "peer", "name", "eth0", "netns", "client")
        )
        self.node.ip("address", "add", f"{NODE_ADDRESS}/24", "dev", "uplink")
        self.node.ip("link", "set", "uplink", "up")
        self.client.ip("address", "add", f"{CLIENT_ADDRESS}/24", "dev", "eth0")
        self.client.ip("link", "set", "eth0", "up")
        self.client.ip("route", "add", "default", "via", NODE_ADDRESS)

    def _make_bridge(self) -> None:
        self.node.ip("link", "add", "pods", "type", "bridge")
        self.node.ip("address", "add", f"{POD_GATEWAY}/24", "dev", "pods")
        self.node.ip("link", "set", "pods", "up")
        forwarding = self.node.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        if forwarding.returncode != 0:
            raise DemoFailed(f"the node cannot forward: {forwarding.stderr.strip()}")


def ip(*arguments: str) -> None:
    """Runs `ip`.

    Raises:
        DemoFailed: It did not do what it was told.
    """
    result = subprocess.run(
        ["ip", *arguments], capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS
    )
    if result.returncode != 0:
        raise DemoFailed(
            f"`ip {' '.join(arguments)}` failed: {result.stderr.strip()}",
            "the kernel must have the drivers `veth` and `bridge`",
        )


def _namespace(name: str, cleanup: ExitStack) -> Namespace:
    namespace = Namespace(name)
    cleanup.callback(namespace.close)
    return namespace
