"""What kpx programs, seen through `nft`: people debug with it, so it must read and load it."""

from collections.abc import Iterator

import pytest

from . import nft
from .cluster import KPX, Cluster, sync_options
from .manifest import ADDRESS_KINDS, SERVICE_PORT, SERVICES, VERSIONS, manifest
from .namespace import Namespace, namespace

FAMILIES = {4: "ip", 6: "ip6"}


@pytest.fixture
def other_node() -> Iterator[Namespace]:
    """A second namespace with nothing in it."""
    with namespace("other") as made:
        yield made


def test_nft_lists_what_is_programmed_without_complaint(programmed: Cluster) -> None:
    completed = programmed.node.run("nft", "list", "ruleset")

    assert completed.stderr == ""
    assert "table ip kpx {" in completed.stdout
    assert "table ip6 kpx {" in completed.stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_nft_lists_every_virtual_address(programmed: Cluster, version: int) -> None:
    expected = {
        (service.address(kind, version), protocol, SERVICE_PORT)
        for service in SERVICES.values()
        for protocol in service.protocols
        for kind in ADDRESS_KINDS
    }
    maps = ("service-ips", "no-endpoint-services")
    listed = [nft.map_keys(programmed.node, FAMILIES[version], name) for name in maps]

    assert set.union(*listed) == expected


RANGES_OF_ONE_BYTE = """
add table ip probe
add set ip probe ranges { type ipv4_addr . inet_proto; flags interval; }
add chain ip probe first
add rule ip probe first ip saddr . meta l4proto @ranges drop
"""


@pytest.fixture
def loading_works(other_node: Namespace) -> None:
    """Skips a test where `nft` cannot load what kpx has to write, whoever writes it.

    Before a lookup among ranges, `nft` 1.0.6 converts the byte order of the protocol, two bytes at
    a time out of one. Debian's Linux 6.12.117 refuses that as not supported.
    """
    loaded = other_node.run("nft", "-f", "-", stdin=RANGES_OF_ONE_BYTE, check=False)
    other_node.run("nft", "flush", "ruleset")
    if loaded.returncode != 0:
        assert "Operation not supported" in loaded.stderr
        pytest.skip("this `nft` cannot load a lookup among ranges with a protocol")


def loadable_manifest(cluster: Cluster) -> str:
    """Returns a manifest whose rules `nft` can load: without session affinity.

    `nft` 1.0.6 runs out of registers for a map with two IPv6 addresses in its key.
    """
    services = {name: service for name, service in SERVICES.items() if name != "sticky"}
    return manifest(cluster, services)


@pytest.mark.usefixtures("loading_works")
def test_the_text_of_a_plan_loads_to_the_same_ruleset(
    cluster: Cluster, node: Namespace, other_node: Namespace
) -> None:
    text = loadable_manifest(cluster)
    planned = node.run(KPX, "plan", "-f", "-", *sync_options(), "-o", "nft", stdin=text).stdout
    node.run(KPX, "sync", "-f", "-", *sync_options(), stdin=text)

    other_node.run("nft", "-f", "-", stdin=planned)

    assert nft.ruleset(other_node) == nft.ruleset(node)


@pytest.mark.usefixtures("loading_works")
def test_rules_loaded_by_nft_are_taken_over(cluster: Cluster, node: Namespace) -> None:
    text = loadable_manifest(cluster)
    plan = (KPX, "plan", "-f", "-", *sync_options())
    node.run("nft", "-f", "-", stdin=node.run(*plan, "-o", "nft", stdin=text).stdout)
    before = nft.ruleset(node)

    node.run(KPX, "sync", "-f", "-", *sync_options(), stdin=text)

    assert nft.ruleset(node) == before
    assert node.run(*plan, "--detailed-exitcode", stdin=text, check=False).returncode == 0


def test_drift_is_repaired(cluster: Cluster, node: Namespace) -> None:
    text = manifest(cluster)
    sync = (KPX, "sync", "-f", "-", *sync_options())
    node.run(*sync, stdin=text)
    before = nft.ruleset(node)
    node.run("nft", "flush chain ip kpx nat-prerouting; flush map ip6 kpx service-ips")
    assert nft.ruleset(node) != before

    node.run(*sync, stdin=text)

    assert nft.ruleset(node) == before
