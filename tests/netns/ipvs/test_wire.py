"""What `ipvsadm` and what kpx send to the kernel.

`rust/ipvs/tests/ipvsadm.txt` holds what `ipvsadm` was seen to send. On any machine
`rust/ipvs/tests/kernel/encoding.rs` holds our own messages against it; here `ipvsadm` runs again,
to show that it does send that: `captured` is what the file would be today.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from ..cluster import NODE_NAME, Cluster
from ..manifest import KINDS, PROTOCOLS, VERSIONS, Service
from ..namespace import Namespace
from .core import core
from .monitor import COMMANDS, monitor

CAPTURED = Path(__file__).parents[3] / "rust/ipvs/tests/ipvsadm.txt"
"""Lines of options to `ipvsadm`, a tab, and the command it sends, behind the message's header."""


def test_ipvsadm_sends_what_was_captured(node: Namespace) -> None:
    lines = CAPTURED.read_text().splitlines()
    expected = [line for line in lines if not line.startswith("#")]
    captured = []
    with monitor(node) as sent:
        for line in expected:
            options, _, _ = line.partition("\t")
            node.run("ipvsadm", *options.split())
            writes = [command for command in sent.take() if not is_reading(command)]
            captured.append("\t".join((options, *writes)))
    assert captured == expected


def is_reading(command: str) -> bool:
    """Says whether a command asks for something and changes nothing."""
    return COMMANDS[int(command[:2], 16)].startswith("GET_")


@pytest.mark.parametrize("services", [2, 60])
def test_kpx_reads_nothing_for_a_change(fleet: Cluster, services: int) -> None:
    # kube-proxy lists every virtual server with its endpoints for every change, and every half a
    # minute while nothing changes: kubernetes#88212, #73382.
    pods = ("pod-1", "pod-2", "pod-3")
    many = [Service(f"service-{n}", n, pods, {}) for n in range(1, services + 1)]
    with core(fleet.node, NODE_NAME) as told, monitor(fleet.node) as sent:
        told.put(item for service in many for item in service.objects(fleet.pods))
        assert Counter(sent.names())["NEW_DEST"] == services * 4 * 3 * 2 * 2
        changed = replace(many[-1], pods=("pod-1", "pod-2", "pod-4"))
        told.put(changed.objects(fleet.pods))
        # At four addresses of each family: for TCP one is drained, for UDP one is deleted.
        assert Counter(sent.names()) == {"NEW_DEST": 16, "SET_DEST": 8, "DEL_DEST": 8}
        told("sync")
        assert sent.names() == []


def test_kpx_looks_at_virtual_servers_once_a_minute(fleet: Cluster) -> None:
    # The agent audits once a second. kube-proxy lists everything every half a minute, and uses
    # most of a processor at 2,000 Services: kubernetes#88212.
    services = [Service(f"service-{n}", n, ("pod-1", "pod-2"), {}) for n in range(1, 6)]
    with core(fleet.node, NODE_NAME) as told, monitor(fleet.node) as sent:
        told.put(item for service in services for item in service.objects(fleet.pods))
        sent.take()
        for _ in range(59):
            assert told("audit") is False
        assert sent.names() == []
        assert told("audit") is False
        listed = len(services) * len(KINDS) * len(VERSIONS) * len(PROTOCOLS)
        assert Counter(sent.names()) == {"GET_SERVICE": 1, "GET_DEST": listed}
