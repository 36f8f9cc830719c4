"""Virtual servers: what `ipvsadm` says there are, and what there should be.

What there should be is worked out here from the Services alone, by the rules of Kubernetes and by
nothing of kpx.
"""

import json
from collections.abc import Mapping

from ..cluster import NODE_NAME, TARGET_PORT, Cluster
from ..manifest import KINDS, VERSIONS, Kind, Service
from ..namespace import Namespace

VirtualServers = dict[str, dict[str, int]]
"""The weights of the destinations of each virtual server. It is named as `ipvsadm -Sn` does, with
its scheduler and its persistence: `-t 10.96.0.10:80 -s rr`."""

DEVICE = "kpx-ipvs0"
SCHEDULER = "kpx.dev/ipvs-scheduler"
OPTION = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}


def listed(namespace: Namespace) -> VirtualServers:
    """Returns what `ipvsadm` lists."""
    servers: VirtualServers = {}
    names: dict[str, str] = {}
    for line in namespace.run("ipvsadm", "-Sn").stdout.splitlines():
        action, server = line.strip().split(" ", 1)
        if action == "-A":
            # The first two words are the address.
            names[" ".join(server.split()[:2])] = server
            servers[server] = {}
            continue
        server, _, destination = server.partition(" -r ")
        address, _method, _, weight = destination.split()
        servers[names[server]][address] = int(weight)
    return servers


def weights(
    cluster: Cluster, service: Service, version: int, protocol: str = "tcp"
) -> dict[str, int]:
    """Returns the weights of the pods behind a Service's cluster IP, by their names."""
    address = endpoint(*service.target("cluster", version, cluster))
    names = {
        endpoint(pod.addresses[version], TARGET_PORT): name for name, pod in cluster.pods.items()
    }
    destinations = listed(cluster.node)[f"{OPTION[protocol]} {address} {balancing(service)}"]
    return {names[destination]: weight for destination, weight in destinations.items()}


def serving(servers: VirtualServers) -> VirtualServers:
    """Returns what gets new connections.

    That is without the destinations that drain, and without the virtual servers that are kept for
    such alone, to which nftables lets nothing new.
    """
    weighted = {
        name: {address: weight for address, weight in destinations.items() if weight > 0}
        for name, destinations in servers.items()
    }
    return {name: destinations for name, destinations in weighted.items() if destinations}


def desired(cluster: Cluster, services: Mapping[str, Service]) -> VirtualServers:
    """Returns the virtual servers that Services ask for."""
    servers: VirtualServers = {}
    for service in services.values():
        for kind in KINDS:
            pods = endpoints(cluster, service, kind)
            if not pods:
                continue
            for version in VERSIONS:
                address = endpoint(*service.target(kind, version, cluster))
                for protocol in service.protocols:
                    name = f"{OPTION[protocol]} {address} {balancing(service)}"
                    servers[name] = {
                        endpoint(cluster.pods[pod].addresses[version], TARGET_PORT): 1
                        for pod in pods
                    }
    return servers


def endpoints(cluster: Cluster, service: Service, kind: Kind) -> list[str]:
    """Returns the pods that clients outside the node reach by one kind of address."""
    policy = "internalTrafficPolicy" if kind == "cluster" else "externalTrafficPolicy"
    is_local = service.spec.get(policy) == "Local"
    return [pod for pod in service.pods if not is_local or cluster.pods[pod].node_name == NODE_NAME]


def balancing(service: Service) -> str:
    """Returns the options of `ipvsadm` that say how a Service is balanced."""
    scheduler = f"-s {service.annotations.get(SCHEDULER, 'rr')}"
    if service.spec.get("sessionAffinity") != "ClientIP":
        return scheduler
    return f"{scheduler} -p {service.spec['sessionAffinityConfig']['clientIP']['timeoutSeconds']}"


def endpoint(address: str, port: int) -> str:
    """Returns an address and a port as one word."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def device_addresses(namespace: Namespace) -> set[str]:
    """Returns the addresses of the device of virtual servers, but for those it gave itself."""
    shown = namespace.run("ip", "-j", "address", "show", "dev", DEVICE, check=False)
    if shown.returncode != 0:
        return set()
    return {
        info["local"]
        for device in json.loads(shown.stdout)
        for info in device["addr_info"]
        if info["scope"] != "link"
    }


def virtual_addresses(services: Mapping[str, Service]) -> set[str]:
    """Returns the addresses that Services have for themselves."""
    return {
        service.address(kind, version)
        for service in services.values()
        for kind in KINDS
        if kind != "node-port"
        for version in VERSIONS
    }
