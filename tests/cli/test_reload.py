"""A configuration file that changes while `kpx run` follows it."""

from collections.abc import Callable
from typing import IO

import pytest

from cli import test_run_cluster as cluster
from cli.test_run import agent, eventually, has, listed, metric, write
from fakes.apiserver import ENDPOINT_SLICES
from fakes.apiserver.process import ApiServerProcess
from nodes import Node

pytestmark = pytest.mark.netns
server = cluster.server

HEAD = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"


def configure(node: Node, text: str) -> None:
    """Replaces the file as a ConfigMap's volume does: in one step."""
    (node.directory / "next.yaml").write_text(text)
    (node.directory / "next.yaml").rename(node.directory / "proxy.yaml")


def read_until(log: IO[str], text: str) -> str:
    """Reads the log up to a line that has a text in it, which comes: the test has a time limit."""
    for line in log:
        if text in line:
            return line
    raise AssertionError(f"the log ended without `{text}`")


def masquerades(node: Node, cidr: str) -> Callable[[], bool]:
    return lambda: f"ip saddr != {cidr} meta mark set" in listed(node)


def test_what_is_live_is_in_effect_at_once_and_the_rest_is_named(node: Node) -> None:
    write(node, "10.0.0.1")
    configure(node, HEAD + "clusterCIDR: 10.1.0.0/16\n")
    with agent(node, "--config=proxy.yaml") as process:
        assert process.stderr is not None
        eventually(has(node, "10.0.0.1"), "the manifest is programmed")
        assert masquerades(node, "10.1.0.0/16")()

        configure(
            node,
            HEAD + "clusterCIDR: 10.2.0.0/16\nhealthzBindAddress: 127.0.0.1:1\n"
            "conntrack: {udpTimeout: 17s}\nnftables: {minSyncPeriod: 5ms}\n",
        )
        done = read_until(process.stderr, "in effect now")
        named = read_until(process.stderr, "needs a restart")
        eventually(masquerades(node, "10.2.0.0/16"), "the pod range is in effect")

        configure(node, HEAD + "clusterCIDR: [nonsense]\n")
        wrong = read_until(process.stderr, "stays")
        configure(node, HEAD + "clusterCIDR: nonsense\nconntrack: {udpTimeout: 18s}\n")
        refused = read_until(process.stderr, "stays")
        (node.directory / "proxy.yaml").unlink()
        gone = read_until(process.stderr, "stays")
        timeout = node.run("sysctl", "-n", "net.netfilter.nf_conntrack_udp_timeout").stdout
        assert masquerades(node, "10.2.0.0/16")()
        write(node, "10.0.0.9")
        eventually(has(node, "10.0.0.9"), "the agent goes on")

    assert done.endswith(
        "proxy.yaml: in effect now: clusterCIDR, conntrack, nftables.minSyncPeriod\n"
    )
    assert named.endswith("proxy.yaml: needs a restart: healthzBindAddress\n")
    assert " error: " in wrong
    assert "`['nonsense']` is not of type str" in wrong
    assert "`cluster_cidrs" in refused
    assert "cannot read `proxy.yaml`" in gone
    assert timeout == "17\n"


def test_flags_still_override_the_file(node: Node) -> None:
    write(node, "10.0.0.1")
    configure(node, HEAD + "clusterCIDR: 10.1.0.0/16\n")
    with agent(node, "--config=proxy.yaml", "--cluster-cidr=10.9.0.0/16") as process:
        assert process.stderr is not None
        eventually(has(node, "10.0.0.1"), "the manifest is programmed")
        configure(node, HEAD + "clusterCIDR: 10.2.0.0/16\nnftables: {masqueradeAll: true}\n")
        done = read_until(process.stderr, "in effect now")
    assert done.endswith("in effect now: nftables.masqueradeAll\n")


def test_a_watched_cluster_is_not_read_again(node: Node, server: ApiServerProcess) -> None:
    configure(node, HEAD + "clusterCIDR: 10.1.0.0/16\n")
    with cluster.agent(node, "--config=proxy.yaml"):
        eventually(cluster.has(node, "10.0.0.1"), "the cluster is programmed")
        lists = 'kpx_watch_lists{resource="services"}'
        before = metric(node, lists)
        configure(node, HEAD + "clusterCIDR: 10.2.0.0/16\n")
        eventually(masquerades(node, "10.2.0.0/16"), "the pod range is in effect")
        assert metric(node, lists) == before
        server.put(ENDPOINT_SLICES, cluster.slice_of("10.0.0.3"))
        eventually(cluster.has(node, "10.0.0.3"), "changes are followed as before")
