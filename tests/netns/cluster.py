"""The cluster the packets cross: a node with pods, a client outside, and pods behind another node.

    client ---- eth0 node cni0 ---- pod-1 pod-2 pod-3
    192.0.2.10       |      10.244.1.0/24
                   uplink 198.51.100.0/24
                     |
                   remote cni0 ---- pod-4 pod-5
                          10.244.2.0/24

Every link has an IPv6 network beside the IPv4 one. kpx runs on `node` alone. Pods own a /32 (/128)
and send everything to the bridge's address, so replies between two pods of one bridge cross the
node's address translation whether or not the kernel filters bridged packets.
"""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .namespace import PATIENCE, Namespace, namespace

BACKEND = os.environ.get("KPX_TEST_BACKEND", "nftables")
"""The backend of every sync and plan: `ipvs` where the kernel has IPVS."""
NODE_NAME = "node-a"
REMOTE_NODE_NAME = "node-b"
POD_CIDRS = ("10.244.0.0/16", "fd00:10:244::/48")
SERVICE_CIDRS = ("10.96.0.0/16", "fd00:10:96::/112")
TARGET_PORT = 8080
KPX = str(Path(sysconfig.get_path("scripts")) / "kpx")
SERVER = str(Path(__file__).with_name("probe_server.py"))

Addresses = dict[int, str]
"""An address per IP version, 4 and 6."""


@dataclass(frozen=True)
class Pod:
    """A pod: a namespace with one address a family, and a probe server on them."""

    name: str
    node_name: str
    addresses: Addresses
    namespace: Namespace


@dataclass
class Cluster:
    """The namespaces of one test session."""

    node: Namespace
    client: Namespace
    remote: Namespace
    node_addresses: Addresses
    bridge_addresses: Addresses
    uplink_addresses: Addresses
    client_addresses: Addresses
    pods: dict[str, Pod] = field(default_factory=dict)

    @property
    def local_pods(self) -> list[str]:
        """The names of the pods on the node that kpx runs on."""
        return [name for name, pod in self.pods.items() if pod.node_name == NODE_NAME]

    @property
    def remote_pods(self) -> list[str]:
        """The names of the pods on the other node."""
        return [name for name, pod in self.pods.items() if pod.node_name != NODE_NAME]

    def source(self, name: str) -> Namespace:
        """Returns the namespace of `client`, of `node`, or of a pod."""
        return {"client": self.client, "node": self.node}.get(name) or self.pods[name].namespace

    def source_address(self, name: str, version: int) -> str:
        """Returns the address that connections from `client`, `node` or a pod start with."""
        others = {"client": self.client_addresses, "node": self.node_addresses}
        return (others.get(name) or self.pods[name].addresses)[version]

    def masqueraded(self, pod: str, version: int) -> str:
        """Returns the source address `pod` sees of a connection that the node masqueraded."""
        towards = self.bridge_addresses if pod in self.local_pods else self.uplink_addresses
        return towards[version]

    def kpx(
        self, *arguments: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs the `kpx` command on the node."""
        return self.node.run(KPX, *arguments, stdin=stdin, check=check)

    def sync(self, manifest: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Programs the node with a manifest, told which sources are pods."""
        return self.kpx("sync", "-f", "-", *sync_options(), *options, stdin=manifest)

    def forget_datagrams(self) -> None:
        """Deletes the UDP flows the node tracks, so that a reused client port is a new flow.

        What an earlier test's rules decided for a flow would otherwise hold half a minute more.
        """
        for family in ("ipv4", "ipv6"):
            self.node.run(
                "conntrack", "--delete", "--proto", "udp", "--family", family, check=False
            )


def sync_options() -> list[str]:
    """Returns the options every sync and plan of the packet tests has."""
    cluster_cidr = ("--cluster-cidr", ",".join(POD_CIDRS))
    return ["--backend", BACKEND, "--node-name", NODE_NAME, *cluster_cidr]


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Builds the cluster with its servers running, and takes everything down again."""
    with ExitStack() as stack:
        node, client, remote = (
            stack.enter_context(namespace(role)) for role in ("node", "client", "remote")
        )
        built = Cluster(
            node=node,
            client=client,
            remote=remote,
            node_addresses={4: "192.0.2.1", 6: "2001:db8:2::1"},
            bridge_addresses={4: "10.244.1.1", 6: "fd00:10:244:1::1"},
            uplink_addresses={4: "198.51.100.1", 6: "2001:db8:3::1"},
            client_addresses={4: "192.0.2.10", 6: "2001:db8:2::10"},
        )
        _connect_nodes(built)
        for number, (router, node_name, subnet) in enumerate(
            [(node, NODE_NAME, 1)] * 3 + [(remote, REMOTE_NODE_NAME, 2)] * 2, start=1
        ):
            pod = Pod(
                name=f"pod-{number}",
                node_name=node_name,
                addresses={4: f"10.244.{subnet}.1{number}", 6: f"fd00:10:244:{subnet}::1{number}"},
                namespace=stack.enter_context(namespace(f"pod-{number}")),
            )
            _connect_pod(router, subnet, pod)
            stack.enter_context(probe_server(pod))
            built.pods[pod.name] = pod
        yield built


def _connect_nodes(built: Cluster) -> None:
    node, client, remote = built.node, built.client, built.remote
    # Else the kernel sends one ICMP error a second, and many refusals would look like drops.
    node.set_sysctls(net__ipv4__icmp_ratelimit=0, net__ipv6__icmp__ratelimit=0)
    for router in (node, remote):
        router.set_sysctls(
            net__ipv4__ip_forward=1,
            net__ipv6__conf__all__forwarding=1,
            net__ipv4__conf__all__rp_filter=0,
            net__ipv4__conf__default__rp_filter=0,
            net__ipv4__conf__all__send_redirects=0,
            net__ipv4__conf__default__send_redirects=0,
        )
    node.configure(
        [
            f"link add eth0 type veth peer name eth0 netns {client.name}",
            f"link add uplink type veth peer name uplink netns {remote.name}",
            "address add 192.0.2.1/24 dev eth0",
            "address add 2001:db8:2::1/64 dev eth0",
            "address add 198.51.100.1/24 dev uplink",
            "address add 2001:db8:3::1/64 dev uplink",
            "link set eth0 up",
            "link set uplink up",
        ]
    )
    client.configure(
        [
            "address add 192.0.2.10/24 dev eth0",
            "address add 2001:db8:2::10/64 dev eth0",
            "link set eth0 up",
            "route add default via 192.0.2.1",
            # Addresses a probe may bind to, to be many clients.
            "route add local 192.0.2.64/26 dev lo",
            "route add default via 2001:db8:2::1",
        ]
    )
    remote.configure(
        [
            "address add 198.51.100.2/24 dev uplink",
            "address add 2001:db8:3::2/64 dev uplink",
            "link set uplink up",
            "route add default via 198.51.100.1",
            "route add default via 2001:db8:3::1",
        ]
    )
    node.configure(
        [
            "route add default via 192.0.2.10",
            "route add default via 2001:db8:2::10",
            "route add 10.244.2.0/24 via 198.51.100.2",
            "route add fd00:10:244:2::/64 via 2001:db8:3::2",
        ]
    )
    for router, subnet in ((node, 1), (remote, 2)):
        router.configure(
            [
                "link add cni0 type bridge mcast_snooping 0",
                f"address add 10.244.{subnet}.1/24 dev cni0",
                f"address add fd00:10:244:{subnet}::1/64 dev cni0",
                "link set cni0 up",
            ]
        )


def _connect_pod(router: Namespace, subnet: int, pod: Pod) -> None:
    port = f"veth-{pod.name}"
    router.configure(
        [
            f"link add {port} type veth peer name eth0 netns {pod.namespace.name}",
            f"link set {port} master cni0 up",
            # As a kubelet sets it: a pod that reaches itself leaves by the port it came in.
            f"link set {port} type bridge_slave hairpin on",
        ]
    )
    pod.namespace.configure(
        [
            f"address add {pod.addresses[4]}/32 dev eth0",
            f"address add {pod.addresses[6]}/128 dev eth0",
            "link set eth0 up",
            f"route add default via 10.244.{subnet}.1 dev eth0 onlink",
            f"route add default via fd00:10:244:{subnet}::1 dev eth0 onlink",
        ]
    )


@contextmanager
def probe_server(pod: Pod) -> Iterator[None]:
    """Runs the server of a pod for the time of the block."""
    process = pod.namespace.spawn(
        sys.executable, "-I", SERVER, pod.name, str(TARGET_PORT), *pod.addresses.values()
    )
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready == "ready\n", f"the server of {pod.name} did not start"
        yield
    finally:
        process.terminate()
        process.communicate(timeout=10 * PATIENCE)
