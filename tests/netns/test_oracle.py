"""kpx's own dump of the kernel, against libnftables (element by element) and against `nft`."""

import json

import pytest

from .cluster import KPX, NODE_NAME, POD_CIDRS, Cluster
from .matrix_services import matrix_objects
from .namespace import Namespace

OPTIONS = {
    "pods by network": ("--cluster-cidr", ",".join(POD_CIDRS)),
    "pods by interface": (
        *("--detect-local-mode", "BridgeInterface", "--pod-bridge-interface", "cni0"),
        *("--masquerade-all", "--nodeport-addresses", "198.51.100.0/24,2001:db8:3::/64"),
    ),
}


def test_every_element_is_what_libnftables_says(programmed: Cluster) -> None:
    status = json.loads(programmed.kpx("status", "--verify", "-o", "json").stdout)

    assert status["verification"]["differences"] == []
    elements = sum(sum(table["elements"].values()) for table in status["tables"].values())
    assert status["verification"]["elements"] > 200
    # What packets add is counted, and not compared.
    assert status["verification"]["elements"] <= elements


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_all_features_at_once_read_the_same_everywhere(
    cluster: Cluster, node: Namespace, options: tuple[str, ...]
) -> None:
    sync = (KPX, "sync", "-f", "-", "--node-name", NODE_NAME, *options)
    node.run(*sync, stdin=matrix_objects(cluster))

    listed = node.run("nft", "list", "ruleset")
    status = json.loads(node.run(KPX, "status", "--verify", "-o", "json").stdout)

    assert listed.stderr == ""
    assert all(f"table {family} kpx {{" in listed.stdout for family in ("ip", "ip6"))
    # Something is in every set, so that the listings have something to differ in.
    assert all(all(table["elements"].values()) for table in status["tables"].values())
    assert status["verification"]["differences"] == []
    assert status["verification"]["elements"] > 2000
