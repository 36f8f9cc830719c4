"""Virtual servers that others made stay theirs.

kubernetes#59507, #76267, #83232, #85799 and #134147.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..cluster import NODE_NAME, Cluster, sync_options
from ..manifest import SERVICES, manifest
from .virtual_servers import endpoint, listed

# Beside ours, within the network of Services, and in the very place of one of ours.
ELSEWHERE = "-t 192.0.2.1:9000 -s wlc"
AMONG_OURS = "-t 10.96.0.250:443 -s rr -p 300"
TAKEN = "-u 10.96.0.10:80 -s lc"
BACKEND = {"10.244.9.9:443": 7}


@pytest.fixture
def cleaned(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with nothing of kpx, programmed as before after the test."""
    cluster.kpx("cleanup")
    yield cluster
    cluster.node.run("ipvsadm", "-C")
    cluster.kpx("cleanup")
    cluster.sync(manifest(cluster))


def test_foreign_virtual_servers_stay_as_they_are(cleaned: Cluster) -> None:
    node = cleaned.node
    foreign = {ELSEWHERE: BACKEND, AMONG_OURS: BACKEND, TAKEN: BACKEND}
    for server in foreign:
        node.run("ipvsadm", "-A", *server.split())
        address = server.split()[:2]
        node.run("ipvsadm", "-a", *address, "-r", "10.244.9.9:443", "-m", "-w", "7")
    assert listed(node) == foreign

    reported = cleaned.kpx("sync", "-f", "-", *sync_options(), stdin=manifest(cleaned), check=False)
    # What is taken is not ours to have: that is said, and the rest is programmed.
    assert reported.returncode == 3, reported.stderr
    assert "the virtual server `-u 10.96.0.10:80` belongs to another program" in reported.stderr
    found = listed(node)
    assert {server: found.get(server) for server in foreign} == foreign
    ours = endpoint(*SERVICES["web"].target("cluster", 4, cleaned))
    assert len(found[f"-t {ours} -s rr"]) == len(SERVICES["web"].pods)
    assert f"-u {ours} -s rr" not in found

    cleaned.sync(manifest(cleaned, {}))
    assert listed(node) == foreign

    node.run("ipvsadm", "-D", *TAKEN.split()[:2])
    cleaned.sync(manifest(cleaned))
    assert f"-u {ours} -s rr" in listed(node)
    cleaned.kpx("cleanup")
    assert listed(node) == {ELSEWHERE: BACKEND, AMONG_OURS: BACKEND}


def test_what_exclude_cidrs_names_stays_as_it_is(cleaned: Cluster, tmp_path: Path) -> None:
    # kube-proxy deletes whatever is in no CIDR of these; kpx touches nothing of others anyhow, and
    # makes its own virtual servers wherever Services are.
    node = cleaned.node
    node.run("ipvsadm", "-A", *AMONG_OURS.split())
    configuration = tmp_path / "config.yaml"
    configuration.write_text(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\n"
        "kind: KubeProxyConfiguration\n"
        "mode: ipvs\n"
        "ipvs: {excludeCIDRs: [10.96.0.0/16], scheduler: lc, strictARP: false}\n"
    )
    options = ("--node-name", NODE_NAME, "--config", str(configuration))
    done = cleaned.kpx("sync", "-f", "-", *options, stdin=manifest(cleaned))
    assert "ignored" not in done.stderr
    found = listed(node)
    assert found[AMONG_OURS] == {}
    web = endpoint(*SERVICES["web"].target("cluster", 4, cleaned))
    assert len(found[f"-t {web} -s lc"]) == len(SERVICES["web"].pods)
