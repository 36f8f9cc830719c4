"""`--take-over`: what kube-proxy left goes once kpx does its work, and nothing of anybody else."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cluster import KPX, Cluster, sync_options
from .manifest import SERVICE_PORT, SERVICES, manifest
from .namespace import PATIENCE, Namespace
from .probe import connect, held_connection

WEB = SERVICES["web"].address("cluster", 4)

# As kube-proxy 1.33 in mode `iptables` restores them for one Service with one endpoint. Between its
# chains are those of kubelet, and of a plugin that has its packets masqueraded by kube-proxy.
NAT = """
*nat
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-PROXY-CANARY - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-SVC-ERIFXISQEP7F7OF4 - [0:0]
:KUBE-SEP-6E7XQMQ4RAYOWTTM - [0:0]
:CNI-HOSTPORT-SETMARK - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A POSTROUTING -s 10.88.0.0/16 -j MASQUERADE
-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j KUBE-MARK-MASQ
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic" -j MASQUERADE --random-fully
-A KUBE-SERVICES -d {vip}/32 -p tcp -m comment --comment "default/web:tcp cluster IP" \
-m tcp --dport 80 -j KUBE-SVC-ERIFXISQEP7F7OF4
-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last" \
-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-SVC-ERIFXISQEP7F7OF4 ! -s 10.244.0.0/16 -d {vip}/32 -p tcp -m tcp --dport 80 \
-j KUBE-MARK-MASQ
-A KUBE-SVC-ERIFXISQEP7F7OF4 -m comment --comment "default/web:tcp -> {pod}:8080" \
-m statistic --mode random --probability 1.00000000000 -j KUBE-SEP-6E7XQMQ4RAYOWTTM
-A KUBE-SEP-6E7XQMQ4RAYOWTTM -s {pod}/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-6E7XQMQ4RAYOWTTM -p tcp -m tcp -j DNAT --to-destination {pod}:8080
COMMIT
*filter
:KUBE-SERVICES - [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-FIREWALL - [0:0]
-A INPUT -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
-A INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS
-A INPUT -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES
-A INPUT -j KUBE-FIREWALL
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES
-A OUTPUT -m conntrack --ctstate NEW -j KUBE-SERVICES
-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack \
! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
*mangle
:KUBE-PROXY-CANARY - [0:0]
COMMIT
"""

STAYS = """\
-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j KUBE-MARK-MASQ
-A INPUT -j KUBE-FIREWALL
-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate \
RELATED,ESTABLISHED,DNAT -j DROP
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A POSTROUTING -s 10.88.0.0/16 -j MASQUERADE
:CNI-HOSTPORT-SETMARK - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-MARK-MASQ - [0:0]
""".splitlines()

NODE = ["sync", "-f", "-", *sync_options(), "--take-over"]


@pytest.fixture
def left(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster as a kube-proxy that is gone has left it, which works."""
    cluster.kpx("cleanup")
    rules = NAT.format(vip=WEB, pod=cluster.pods["pod-4"].addresses[4])
    cluster.node.run("iptables-nft-restore", "--noflush", stdin=rules)
    cluster.node.run("nft", "add", "table", "ip6", "kube-proxy")
    cluster.node.run("nft", "add", "table", "ip", "mine")
    yield cluster
    for table in ("nat", "filter", "mangle", "mine"):
        cluster.node.run("nft", "delete", "table", "ip", table)
    cluster.sync(manifest(cluster))


def saved(node: Namespace) -> list[str]:
    """The chains and rules of iptables that are not built in."""
    lines = node.run("iptables-nft-save").stdout.splitlines()
    return sorted(one for one in lines if one[0] in ":-" and "CCEPT [" not in one)


def test_connections_go_on_and_what_is_not_of_kube_proxy_stays(left: Cluster) -> None:
    assert connect(left.client, "tcp", WEB, SERVICE_PORT, count=3).pods == {"pod-4": 3}
    with held_connection(left.client, WEB, SERVICE_PORT) as held:
        done = left.kpx(*NODE, stdin=manifest(left))
        assert held.is_alive()
    after = connect(left.client, "tcp", WEB, SERVICE_PORT, count=40)

    assert after.outcomes == {"answer": 40}
    assert len(after.pods) > 1, "kpx balances"
    assert saved(left.node) == sorted(STAYS)
    tables = left.node.run("nft", "list", "tables").stdout.splitlines()
    assert "table ip mine" in tables
    assert "table ip6 kube-proxy" not in tables
    notices = [line for line in done.stderr.splitlines() if line.startswith("notice: ")]
    assert notices == [
        "notice: deleted table `ip6 kube-proxy`",
        "notice: deleted 5 chains of kube-proxy from iptables' table `ip filter`",
        "notice: deleted 1 chains of kube-proxy from iptables' table `ip mangle`",
        "notice: deleted 6 chains of kube-proxy from iptables' table `ip nat`",
        "notice: kept chain `KUBE-MARK-MASQ` of `ip nat`: rules of others lead to it",
    ]
    again = left.kpx(*NODE, stdin=manifest(left))
    assert "deleted" not in again.stderr


def test_without_the_flag_nothing_of_it_is_touched(left: Cluster) -> None:
    before = saved(left.node)

    left.sync(manifest(left))

    assert saved(left.node) == before


def test_a_kube_proxy_that_runs_is_not_taken_over_from(left: Cluster, tmp_path: Path) -> None:
    before = saved(left.node)
    program = tmp_path / "kube-proxy"
    shutil.copy(shutil.which("sleep") or "", program)
    with subprocess.Popen(left.node.command(str(program), "60")) as running:
        try:
            for _ in range(round(200 * PATIENCE)):
                refused = left.kpx(*NODE, stdin=manifest(left), check=False)
                if refused.returncode:
                    break
        finally:
            running.kill()

    assert refused.returncode == 1
    assert refused.stderr.startswith("error: kube-proxy still runs, as process ")
    assert "hint: stop it first" in refused.stderr
    assert saved(left.node) == before
    assert "ip kpx" not in left.node.run("nft", "list", "tables").stdout


def test_the_agent_takes_over_once_the_node_is_programmed(left: Cluster, tmp_path: Path) -> None:
    (tmp_path / "node.json").write_text(manifest(left))
    agent = subprocess.Popen(
        left.node.command(
            *(KPX, "run", "-f", str(tmp_path), *sync_options(), "--take-over"),
        ),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert agent.stderr is not None
        for line in agent.stderr:
            if "taken over: kept chain" in line:
                break
        assert saved(left.node) == sorted(STAYS)
        assert connect(left.client, "tcp", WEB, SERVICE_PORT, count=3).outcomes == {"answer": 3}
    finally:
        agent.terminate()
        agent.communicate(timeout=20 * PATIENCE)
