"""The Services of the packet-flow matrix.

`matrix.json` holds them as Kubernetes objects. To write it anew, run
`python -m netns.matrix_services > netns/matrix.json` as root in `tests`.
"""

import json
import sys
from dataclasses import replace
from typing import Any

from .cluster import NODE_NAME, POD_CIDRS, Cluster, Pod, cluster
from .manifest import PROTOCOLS, Service, manifest

HOST_POD = "host-pod"
"""A pod in the node's own network."""

SPREAD = ("pod-1", "pod-2", "pod-4")
"""Endpoints on the node and elsewhere, and pods left over that are none."""
ELSEWHERE = ("pod-4",)

EXTERNAL_LOCAL = {"externalTrafficPolicy": "Local"}
INTERNAL_LOCAL = {"internalTrafficPolicy": "Local"}
BOTH_LOCAL = {**EXTERNAL_LOCAL, **INTERNAL_LOCAL}
# A timeout no test outlasts.
AFFINITY = {
    "sessionAffinity": "ClientIP",
    "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
}

CLIENT = ("192.0.2.10/32", "2001:db8:2::10/128")
NODE = ("192.0.2.1/32", "2001:db8:2::1/128")
NOBODY = ("203.0.113.250/32", "2001:db8:203::fa/128")
EVERYONE = ("0.0.0.0/0", "::/0")


def ranges(*cidrs: str) -> dict[str, Any]:
    """Returns the part of a Service's spec that limits the load balancer's clients."""
    return {"loadBalancerSourceRanges": list(cidrs)}


# A kernel may have no sockets of SCTP, so that is walked in memory alone.
WITH_SCTP = (*PROTOCOLS, "sctp")

# The numbers go on from those of the other packet tests' Services.
MATRIX_SERVICES = {
    name: Service(name, number, pods, spec, WITH_SCTP)
    for number, (name, pods, spec) in enumerate(
        (
            ("plain", SPREAD, {}),
            ("external-local", SPREAD, EXTERNAL_LOCAL),
            ("external-local-elsewhere", ELSEWHERE, EXTERNAL_LOCAL),
            ("internal-local", SPREAD, INTERNAL_LOCAL),
            ("internal-local-elsewhere", ELSEWHERE, INTERNAL_LOCAL),
            ("both-local", SPREAD, BOTH_LOCAL),
            ("both-local-elsewhere", ELSEWHERE, BOTH_LOCAL),
            ("empty", (), {}),
            ("empty-both-local", (), BOTH_LOCAL),
            ("ranges-nobody", SPREAD, ranges(*NOBODY)),
            ("ranges-client", SPREAD, ranges(*CLIENT)),
            ("ranges-pods", SPREAD, ranges(*POD_CIDRS)),
            ("ranges-node", SPREAD, ranges(*NODE)),
            ("ranges-everyone", SPREAD, ranges(*EVERYONE)),
            ("ranges-ipv4-nobody", SPREAD, ranges(NOBODY[0])),
            ("ranges-nobody-empty", (), ranges(*NOBODY)),
            ("ranges-client-empty", (), ranges(*CLIENT)),
            ("ranges-client-local", SPREAD, {**ranges(*CLIENT), **EXTERNAL_LOCAL}),
            ("single", ("pod-1",), {}),
            ("single-both-local", ("pod-1",), BOTH_LOCAL),
            ("host-network", (HOST_POD,), {}),
            ("affinity", SPREAD, AFFINITY),
            ("affinity-external-local", SPREAD, {**AFFINITY, **EXTERNAL_LOCAL}),
            ("affinity-internal-local", SPREAD, {**AFFINITY, **INTERNAL_LOCAL}),
        ),
        start=30,
    )
}


def with_host_pod(built: Cluster) -> Cluster:
    """Returns the cluster with one more pod, which has the node's addresses."""
    pod = Pod(HOST_POD, NODE_NAME, built.node_addresses, built.node)
    return replace(built, pods={**built.pods, HOST_POD: pod})


def matrix_objects(built: Cluster) -> str:
    """Returns the objects as a `List`, one a line."""
    items = json.loads(manifest(with_host_pod(built), MATRIX_SERVICES))["items"]
    lines = ",\n".join(json.dumps(item) for item in items)
    return f'{{"apiVersion": "v1", "kind": "List", "items": [\n{lines}\n]}}\n'


if __name__ == "__main__":
    with cluster() as built:
        sys.stdout.write(matrix_objects(built))
