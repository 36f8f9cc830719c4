"""Has a peer program a cluster and change it, and prints whom a client then reaches:
`reached PEER`, in a network namespace of its own.

Of peers of IPVS that is whom the virtual servers choose from.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import cases
from bench.changes import Cluster
from bench.peers import IPVS_PEERS, PEERS
from bench.probe import Probe

SERVICES, ENDPOINTS, CONNECTIONS = 11, 3, 60
COUNTS = {"endpoint": 12, "service": 3, "rolling": 1, "burst": 1, "steady": 2, "traffic": 2}
ROOT = Path(__file__).parents[2]


def reached(peer: str) -> dict[str, tuple[list[str], list[str]]]:
    """Returns, of every Service, the addresses that should be reached and those that are."""
    completed = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.benchmarks.reached", peer],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert completed.returncode == 0, completed.stderr
    found: dict[str, tuple[list[str], list[str]]] = json.loads(completed.stdout)
    return found


def main() -> None:
    """Prints what `reached` returns."""
    name = sys.argv[1]
    kind = (PEERS | IPVS_PEERS)[name]
    cluster = Cluster(SERVICES, ENDPOINTS)
    counts = {case: count for case, count in COUNTS.items() if case in kind.cases}
    with tempfile.TemporaryDirectory() as directory:
        peer = kind(cluster, "plain", counts, Path(directory))
        peer.prepare()
        peer.load()
        if "restart" in peer.cases:
            peer.prepare_restart()
            peer.restart()
        for case, make in cluster.makers().items():
            for _ in range(counts.get(case, 0)):
                peer.apply(peer.encode(make()))
        found = balanced(cluster) if name in IPVS_PEERS else connected(cluster)
        peer.close()
    print(
        json.dumps(
            {
                service: (sorted(addresses), sorted(found[service]))
                for service, addresses in cluster.all()
            }
        )
    )


def connected(cluster: Cluster) -> dict[int, set[str]]:
    """Connects to every Service."""
    with Probe() as probe:
        return {service: probe.endpoints(service, CONNECTIONS) for service, _ in cluster.all()}


def balanced(cluster: Cluster) -> dict[int, set[str]]:
    """Reads what each virtual server chooses from: not what drains, at weight 0."""
    listing = subprocess.run(["ipvsadm", "-Sn"], capture_output=True, text=True, check=True)
    found: dict[int, set[str]] = {service: set() for service, _ in cluster.all()}
    services = {f"{cases.cluster_ip(service)}:{cases.PORT}": service for service in found}
    for line in listing.stdout.splitlines():
        action, _, server, *options = line.split()
        if action == "-a" and options[-1] != "0":
            found[services[server]].add(options[1].partition(":")[0])
    return found


if __name__ == "__main__":
    main()
