"""What is compared does the same."""

import pytest
from bench.changes import Cluster
from bench.layouts import iptables, kube_proxy
from bench.peers import PEERS

from nodes import Node

from .reached import reached

pytestmark = [pytest.mark.netns, pytest.mark.timeout(180)]

CHANGES = ("one_endpoint", "one_service", "one_service", "rolling_update", "one_endpoint")


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_ends_with_the_same_services(name: str) -> None:
    found = reached(name)

    # A Service was added, removed and added again; `kpx sync` makes no change.
    assert len(found) == (11 if name == "sync" else 12)
    for service, (expected, connected) in found.items():
        assert connected == expected, f"Service {service}"


def test_the_kernel_takes_the_layout_of_kube_proxy(node: Node) -> None:
    cluster = Cluster(20, 3)
    _check_and_load(node, ("nft",), kube_proxy.load(cluster))
    _check_and_load(node, ("nft",), kube_proxy.reload(cluster))
    for name in CHANGES:
        _check_and_load(node, ("nft",), kube_proxy.change(getattr(cluster, name)()))

    # A chain for each Service beside the nine that are always there.
    listed = node.run("nft", "list", "table", "ip", "kube-proxy").stdout
    assert listed.count("chain service-0") == 20
    assert listed.count("numgen random mod 3 map {") == 20


@pytest.mark.parametrize("command", ["iptables-nft-restore", "iptables-legacy-restore"])
def test_the_kernel_takes_the_layout_of_iptables(node: Node, command: str) -> None:
    cluster = Cluster(20, 3)
    restore = (command, "--noflush")
    _check_and_load(node, restore, iptables.load(cluster))
    saved = command.replace("restore", "save")
    loaded = _chains(node.run(saved).stdout)
    _check_and_load(node, restore, iptables.reload(cluster))
    assert _chains(node.run(saved).stdout) == loaded
    for name in CHANGES:
        change = getattr(cluster, name)()
        _check_and_load(node, restore, iptables.change(cluster, change))

    # Three of kube-proxy's own, and four for each Service with three endpoints: none is left over.
    assert len(_chains(node.run(saved).stdout)) == len(loaded) == 3 + 20 * 4


def _chains(saved: str) -> set[str]:
    return {line.split()[0] for line in saved.splitlines() if line.startswith(":KUBE-")}


def _check_and_load(node: Node, command: tuple[str, ...], text: str) -> None:
    path = node.directory / "rules"
    path.write_text(text)
    check = "--check" if command[0] == "nft" else "--test"
    words = ("-f", str(path)) if command[0] == "nft" else (str(path),)
    for extra in ((check,), ()):
        completed = node.run(*command, *extra, *words)
        assert completed.returncode == 0, completed.stderr
