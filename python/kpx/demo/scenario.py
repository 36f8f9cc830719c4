"""What the demo shows: Services work, balance, and follow their Pods."""

import sys
import time
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from kpx.demo import objects
from kpx.demo.cluster import NODE_ADDRESS, POD_CIDR, Cluster
from kpx.errors import DemoFailed

__all__ = ["play"]

_PODS: Final = {"pod-a": "10.244.0.11", "pod-b": "10.244.0.12", "pod-c": "10.244.0.13"}
_CONNECTIONS: Final = 60
"""How often each address is tried.

That chance alone leaves out one of three Pods has odds of 3 * (2/3)^60, 1 in 10^10.
"""

_TARGETS: Final = (
    ("ClusterIP", objects.CLUSTER_IP, objects.SERVICE_PORT),
    ("NodePort", NODE_ADDRESS, objects.NODE_PORT),
    ("external IP", objects.EXTERNAL_IP, objects.SERVICE_PORT),
)


def play() -> None:
    """Plays the demo inside namespaces of its own.

    Raises:
        DemoFailed: Something could not be set up, or behaved otherwise than expected.
    """
    started = time.monotonic()
    with Cluster() as cluster, TemporaryDirectory(prefix="kpx-demo-") as directory:
        manifests = Path(directory)
        _say(f"a client, a node, and {len(_PODS)} Pods, each in a network namespace of its own")
        for name, address in _PODS.items():
            cluster.add_pod(name, address)
        _sync(cluster, manifests)
        _check_balance(cluster, expected=_PODS.keys())

        removed = "pod-b"
        _say(f"{removed} goes away")
        cluster.remove_pod(removed)
        _sync(cluster, manifests)
        _check_balance(cluster, expected=cluster.pods.keys())

        _say("once more, with nothing changed")
        if "nothing to change" not in _sync(cluster, manifests):
            raise DemoFailed("a second sync of the same manifests changed something")

        _say("everything of kpx is removed from the node")
        _kpx(cluster, "cleanup")
        if cluster.connect(objects.CLUSTER_IP, objects.SERVICE_PORT, times=1).answers:
            raise DemoFailed("the Service still answers after the cleanup")
    _say(f"done in {time.monotonic() - started:.1f} s: every expectation held")


def _sync(cluster: Cluster, manifests: Path) -> str:
    """Writes the manifests of the cluster as it is, and syncs the node with them."""
    objects.write(manifests, cluster.pods.values())
    return _kpx(
        cluster,
        *("sync", "-f", str(manifests), "--node-name", objects.NODE_NAME),
        *("--cluster-cidr", POD_CIDR),
    )


def _kpx(cluster: Cluster, *arguments: str) -> str:
    """Runs kpx on the node, shows what it prints, and returns that."""
    _show(f"$ kpx {' '.join(arguments)}")
    result = cluster.node.python("kpx", *arguments)
    if result.returncode != 0:
        raise DemoFailed(f"`kpx {arguments[0]}` exited with {result.returncode}: {result.stderr}")
    _show(result.stdout)
    return result.stdout


def _check_balance(cluster: Cluster, expected: Collection[str]) -> None:
    """Connects through every address, and expects answers of all these Pods and nobody else."""
    _say(f"the client connects {_CONNECTIONS} times to each address of the Service")
    for kind, address, port in _TARGETS:
        connections = cluster.connect(address, port, _CONNECTIONS)
        target = f"{kind} {address}:{port}"
        _show(f"{target:32} {connections}")
        if connections.failures or connections.answers.keys() != set(expected):
            raise DemoFailed(
                f"{target}: expected answers of {', '.join(sorted(expected))}, got {connections}"
            )


def _say(text: str) -> None:
    sys.stdout.write(f"\n==> {text}\n")
    sys.stdout.flush()


def _show(text: str) -> None:
    for line in text.splitlines():
        sys.stdout.write(f"    {line}\n")
    sys.stdout.flush()
