"""Has a peer program a cluster and change it, and prints whom a client then reaches:
`reached PEER`, in a network namespace of its own.
"""

import json
import sys
import tempfile
from pathlib import Path

from bench.changes import Cluster
from bench.peers import PEERS
from bench.probe import Probe

SERVICES, ENDPOINTS, CONNECTIONS = 11, 3, 60
COUNTS = {"endpoint": 12, "service": 3, "rolling": 1, "traffic": 2}


def main() -> None:
    """Prints `{SERVICE: [EXPECTED, REACHED]}`, of every Service."""
    cluster = Cluster(SERVICES, ENDPOINTS)
    with tempfile.TemporaryDirectory() as directory:
        peer = PEERS[sys.argv[1]](cluster, "plain", COUNTS, Path(directory))
        peer.prepare()
        peer.load()
        if "restart" in peer.cases:
            peer.prepare_restart()
            peer.restart()
        for case, make in cluster.makers().items():
            for _ in range(COUNTS[case] if case in peer.cases else 0):
                peer.apply(peer.encode(make()))
        with Probe() as probe:
            found = {
                service: (addresses, sorted(probe.endpoints(service, CONNECTIONS)))
                for service, addresses in cluster.all()
            }
        peer.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
