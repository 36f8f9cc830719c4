"""`kpx cleanup` removes what kpx made, and nothing else."""

from . import nft
from .cluster import KPX, Cluster, sync_options
from .manifest import manifest
from .namespace import Namespace

FOREIGN = """
table ip foreign { chain input { type filter hook input priority 0; tcp dport 22 accept; }; }
table inet kpx { set addresses { type ipv4_addr; elements = { 192.0.2.1 }; }; }
table ip kube-proxy { map service-ips { type ipv4_addr : verdict; }; }
"""
"""Tables of others; one shares kpx's name in a family that kpx does not use."""


def test_cleanup_leaves_the_tables_of_others(cluster: Cluster, node: Namespace) -> None:
    node.run("nft", "-f", "-", stdin=FOREIGN)
    before = nft.ruleset(node)
    node.run(KPX, "sync", "-f", "-", *sync_options(), stdin=manifest(cluster))
    assert {"ip kpx", "ip6 kpx"} <= set(nft.tables(node))

    completed = node.run(KPX, "cleanup")

    assert nft.ruleset(node) == before
    assert "ip kpx" in completed.stdout
    assert "ip6 kpx" in completed.stdout


def test_cleanup_of_a_clean_node_does_nothing(node: Namespace) -> None:
    completed = node.run(KPX, "cleanup")

    assert completed.returncode == 0
    assert nft.ruleset(node) == []
