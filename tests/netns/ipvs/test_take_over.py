"""`--take-over` from a kube-proxy in IPVS mode: clients notice nothing, open connections go on."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ..cluster import KPX, POD_CIDRS, TARGET_PORT, Cluster, sync_options
from ..manifest import SERVICE_PORT, SERVICES, manifest
from ..namespace import PATIENCE, Namespace
from ..steady import SteadyClient, steady_client
from .virtual_servers import DEVICE, device_addresses, endpoint, listed

WEB = SERVICES["web"]
VIP = WEB.address("cluster", 4)
KUBE_PROXY_DEVICE = "kube-ipvs0"
EXCLUDED = "-t 198.18.0.1:9000 -s wlc"
"""A virtual server of somebody else, where kube-proxy was told to leave such alone."""
OTHER_CLIENT = "192.0.2.65"
"""Another address of the client outside."""
STALE = "10.96.0.200"
"""Of a Service that went while nobody looked."""

SETS = """
create KUBE-CLUSTER-IP hash:ip,port
create KUBE-LOOP-BACK hash:ip,port,ip
create KUBE-NODE-PORT-TCP bitmap:port range 0-65535
create KUBE-IPVS-IPS hash:ip
add KUBE-CLUSTER-IP {vip},tcp:{port}
{loops}
add KUBE-NODE-PORT-TCP {node_port}
add KUBE-IPVS-IPS {vip}
"""

# The chains and rules of kube-proxy 1.33 in mode `ipvs`, with one of kubelet's among them.
RULES = """
*nat
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-NODE-PORT - [0:0]
:KUBE-LOAD-BALANCER - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-NODE-PORT -p tcp -m set --match-set KUBE-NODE-PORT-TCP dst -j KUBE-MARK-MASQ
-A KUBE-POSTROUTING -m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic" -j MASQUERADE
-A KUBE-SERVICES -s 127.0.0.0/8 -j RETURN
-A KUBE-SERVICES ! -s {pods} -m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT
-A KUBE-SERVICES -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT
COMMIT
*filter
:KUBE-FORWARD - [0:0]
:KUBE-NODE-PORT - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SOURCE-RANGES-FIREWALL - [0:0]
:KUBE-IPVS-FILTER - [0:0]
:KUBE-IPVS-OUT-FILTER - [0:0]
:KUBE-FIREWALL - [0:0]
-A INPUT -j KUBE-IPVS-FILTER
-A INPUT -j KUBE-PROXY-FIREWALL
-A INPUT -j KUBE-NODE-PORT
-A INPUT -j KUBE-FIREWALL
-A FORWARD -j KUBE-PROXY-FIREWALL
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A OUTPUT -j KUBE-IPVS-OUT-FILTER
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-IPVS-FILTER -m set --match-set KUBE-CLUSTER-IP dst,dst -j RETURN
-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW -m set --match-set KUBE-IPVS-IPS dst -j REJECT
-A KUBE-SOURCE-RANGES-FIREWALL -j DROP
COMMIT
"""
STAYS = [":KUBE-FIREWALL", ":KUBE-KUBELET-CANARY", "-A INPUT -j KUBE-FIREWALL"]

TOOK_OVER = [
    "deleted 6 chains of kube-proxy from iptables' table `ip filter`",
    "deleted 5 chains of kube-proxy from iptables' table `ip nat`",
    "took over 3 IPVS services",
    f"deleted device `{KUBE_PROXY_DEVICE}`",
]


@pytest.fixture
def left(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster as a kube-proxy that is gone has left it: one Service works over IPv4."""
    cluster.kpx("cleanup")
    node = cluster.node
    node.configure([f"link add {KUBE_PROXY_DEVICE} type dummy"])
    for address in (VIP, STALE):
        node.configure([f"address add {address} dev {KUBE_PROXY_DEVICE}"])
        serve(cluster, f"{address}:{SERVICE_PORT}")
    serve(cluster, endpoint(*WEB.target("node-port", 4, cluster)))
    node.run("ipvsadm", "-A", *EXCLUDED.split())
    node.set_sysctls(net__ipv4__vs__conntrack=1, net__ipv4__vs__expire_nodest_conn=1)
    words = {
        "vip": VIP,
        "port": SERVICE_PORT,
        "loops": "\n".join(
            f"add KUBE-LOOP-BACK {pod},tcp:{TARGET_PORT},{pod}"
            for pod in (cluster.pods[name].addresses[4] for name in cluster.local_pods)
        ),
        "node_port": WEB.node_port,
        "pods": POD_CIDRS[0],
    }
    node.run("ipset", "restore", stdin=SETS.format(**words))
    node.run("iptables-nft-restore", "--noflush", stdin=RULES.format(**words))
    yield cluster
    for table in ("nat", "filter"):
        node.run("nft", "delete", "table", "ip", table)
    node.run("ipset", "destroy")
    node.run("ipvsadm", "-C")
    node.run("ip", "link", "delete", KUBE_PROXY_DEVICE, check=False)
    cluster.kpx("cleanup")
    cluster.sync(manifest(cluster))
    cluster.forget_datagrams()


def serve(cluster: Cluster, address: str) -> None:
    """Makes a virtual server as kube-proxy does."""
    cluster.node.run("ipvsadm", "-A", "-t", address, "-s", "rr")
    for name in WEB.pods:
        pod = endpoint(cluster.pods[name].addresses[4], TARGET_PORT)
        cluster.node.run("ipvsadm", "-a", "-t", address, "-r", pod, "-m")


@pytest.fixture
def configuration(tmp_path: Path) -> str:
    """The configuration of that kube-proxy."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\n"
        "kind: KubeProxyConfiguration\n"
        "mode: ipvs\n"
        "ipvs: {excludeCIDRs: [198.18.0.0/15]}\n"
    )
    return str(path)


@contextmanager
def clients(cluster: Cluster) -> Iterator[list[SteadyClient]]:
    """Runs clients that connect all the time, and keep connections that they have opened."""
    cluster_ip, node_port = (VIP, SERVICE_PORT), WEB.target("node-port", 4, cluster)
    # Each address of a Service has a client of its own: see `test_one_port.py`.
    sources = {
        ("client",): cluster_ip,
        ("client", OTHER_CLIENT): node_port,
        ("pod-3",): cluster_ip,
        ("node",): cluster_ip,
    }
    with ExitStack() as stack:
        made = []
        for (source, *address), target in sources.items():
            client = stack.enter_context(steady_client(cluster.source(source), *address))
            client(hold=[target])
            client(watch=[target])
            made.append(client)
        yield made


def rules(node: Namespace) -> list[str]:
    """The chains and rules of iptables that are not built in."""
    lines = node.run("iptables-nft-save").stdout.splitlines()
    kept = (line.partition(" - [")[0] for line in lines if line[0] in ":-")
    return sorted(line for line in kept if "CCEPT [" not in line)


def assert_taken_over(cluster: Cluster, connected: list[SteadyClient]) -> None:
    """Checks that clients noticed nothing, and that nothing of kube-proxy is left."""
    for client in connected:
        assert client(alive=None) == [True]
        attempts, failures = client(watched=None)
        assert failures == []
        assert attempts > 5
    node = cluster.node
    assert rules(node) == sorted(STAYS)
    found = listed(node)
    assert found.pop(EXCLUDED) == {}
    assert not any(STALE in server for server in found)
    assert f"-t {VIP}:{SERVICE_PORT} -s rr" in found
    links = {link["ifname"] for link in json.loads(node.run("ip", "-j", "link").stdout)}
    assert DEVICE in links
    assert KUBE_PROXY_DEVICE not in links
    assert VIP in device_addresses(node)


def test_clients_notice_nothing(left: Cluster, configuration: str) -> None:
    options = ("--config", configuration, *sync_options(), "--take-over")
    with clients(left) as connected:
        done = left.kpx("sync", "-f", "-", *options, stdin=manifest(left))
        assert_taken_over(left, connected)
    notices = [line for line in done.stderr.splitlines() if line.startswith("notice: ")]
    assert notices[-len(TOOK_OVER) :] == [f"notice: {line}" for line in TOOK_OVER]
    planned = left.kpx("plan", "-f", "-", "-o", "json", *sync_options(), stdin=manifest(left))
    assert json.loads(planned.stdout)["changes"] == []


def test_the_agent_takes_over_once_the_node_is_programmed(
    left: Cluster, configuration: str, tmp_path: Path
) -> None:
    (tmp_path / "node.json").write_text(manifest(left))
    options = ("--config", configuration, *sync_options(), "--take-over")
    with clients(left) as connected:
        agent = subprocess.Popen(
            left.node.command(KPX, "run", "-f", str(tmp_path / "node.json"), *options),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert agent.stderr is not None
            for line in agent.stderr:
                if TOOK_OVER[-1] in line:
                    break
            deadline = 200
            while any(STALE in server for server in listed(left.node)):
                deadline -= 1
                assert deadline, "what nobody wants is still there"
            assert_taken_over(left, connected)
        finally:
            agent.terminate()
            agent.communicate(timeout=20 * PATIENCE)
