"""One backend takes over from the other: nothing of it is left, and new connections go on."""

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from .. import nft
from ..cluster import Cluster, sync_options
from ..manifest import KINDS, SERVICES, VERSIONS, manifest
from ..namespace import Namespace
from ..steady import steady_client
from .forks import forks
from .virtual_servers import DEVICE, VirtualServers, device_addresses, listed

WEB = SERVICES["web"]
SOURCES = ("client", "pod-3", "node")


@dataclass(frozen=True)
class Held:
    """What the kernel holds of kpx."""

    ruleset: list[str]
    servers: VirtualServers
    has_device: bool
    addresses: set[str]


def held(node: Namespace) -> Held:
    """Reads the kernel."""
    links = json.loads(node.run("ip", "-j", "link").stdout)
    has_device = DEVICE in {link["ifname"] for link in links}
    return Held(nft.ruleset(node), listed(node), has_device, device_addresses(node))


def test_a_switch_leaves_nothing_behind_and_lets_new_connections_through(
    alone: Cluster, tmp_path: Path
) -> None:
    nothing = held(alone.node)
    assert not nothing.servers
    assert not nothing.has_device
    services = tmp_path / "services.json"
    services.write_text(manifest(alone))
    with ExitStack() as stack:
        kpx = stack.enter_context(forks(alone.node))

        def sync(backend: str) -> Held:
            options = ("-f", str(services), *sync_options(), "--backend", backend)
            kpx.run(tmp_path, "sync", *options)
            return held(alone.node)

        fresh = {}
        for backend in ("nftables", "ipvs"):
            kpx.run(tmp_path, "cleanup")
            assert held(alone.node) == nothing
            fresh[backend] = sync(backend)
        assert not fresh["nftables"].servers
        assert not fresh["nftables"].has_device
        assert fresh["ipvs"].servers

        targets = [WEB.target(kind, version, alone) for kind in KINDS for version in VERSIONS]
        clients = [stack.enter_context(steady_client(alone.source(name))) for name in SOURCES]
        for client in clients:
            client(watch=targets)
        made = [0 for _ in clients]
        for backend in ("nftables", "ipvs"):
            assert sync(backend) == fresh[backend]
            before, made = made, []
            for client in clients:
                attempts, failures = client(watched=None)
                made.append(attempts)
                # A client makes one connection after the other. One may be half open when a commit
                # takes the virtual server away under it.
                assert len(failures) <= 1, failures
            assert all(now > then + 20 for now, then in zip(made, before, strict=True))
        print(f"{sum(made)} connections while switching")
