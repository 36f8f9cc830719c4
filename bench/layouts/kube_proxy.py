"""The layout of kube-proxy 1.36 in nftables mode, as `nft` commands.

A chain and an anonymous map for each Service. Facts from kube-proxy's `pkg/proxy/nftables`; the
text is our own. Left out is what it does besides: listing the table before every change.
"""

from collections.abc import Iterator

from ..cases import CLUSTER_CIDR, NODE_NAME, PORT, TARGET_PORT, cluster_ip, node_of
from ..changes import Change, Cluster

_BASE = f"""\
table ip kube-proxy {{
  set cluster-ips {{ type ipv4_addr; }}
  set nodeport-ips {{ type ipv4_addr; }}
  set hairpin-connections {{ type ipv4_addr . ipv4_addr . inet_proto . inet_service; }}
  map service-ips {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map service-nodeports {{ type inet_proto . inet_service : verdict; }}
  map no-endpoint-services {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  chain cluster-ips-check {{
    ip daddr @cluster-ips reject
  }}
  chain service-endpoints-check {{
    ip daddr . meta l4proto . th dport vmap @no-endpoint-services
  }}
  chain services {{
    ip daddr . meta l4proto . th dport vmap @service-ips
    ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
  }}
  chain masquerading {{
    ip saddr . ip daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random
    ct original ip daddr @cluster-ips ip saddr != {CLUSTER_CIDR} masquerade fully-random
  }}
  chain nat-prerouting {{
    type nat hook prerouting priority -100
    jump services
  }}
  chain nat-output {{
    type nat hook output priority -100
    jump services
  }}
  chain nat-postrouting {{
    type nat hook postrouting priority 100
    jump masquerading
  }}
  chain filter-forward {{
    type filter hook forward priority 0
    ct state new jump service-endpoints-check
    ct state new jump cluster-ips-check
  }}
  chain filter-output {{
    type filter hook output priority 0
    ct state new jump service-endpoints-check
    ct state new jump cluster-ips-check
  }}
}}
"""
_BASE_CHAINS = (
    *("cluster-ips-check", "service-endpoints-check", "services", "masquerading"),
    *("nat-prerouting", "nat-output", "nat-postrouting", "filter-forward", "filter-output"),
)
_ELEMENT, _CHAIN, _RULE = (f"add {noun} ip kube-proxy" for noun in ("element", "chain", "rule"))


def load(cluster: Cluster) -> str:
    """Returns what programs everything where nothing is programmed."""
    return _text(_BASE, *(_added(*service) for service in cluster.all()))


def reload(cluster: Cluster) -> str:
    """Returns what a start over a programmed node writes.

    Every chain is flushed and filled again; elements that are there stay.
    """
    flushes = "".join(f"flush chain ip kube-proxy {chain}\n" for chain in _BASE_CHAINS)
    return _text(flushes + _BASE, *(_rewritten(*service) for service in cluster.all()))


def change(change: Change) -> str:
    """Returns what writes a change: the chain of a Service anew, and the elements that differ."""
    lines: list[Iterator[str]] = []
    for service, addresses in change.after.items():
        if service not in change.before:
            lines.append(_added(service, addresses))
            continue
        old, new = (set(_hairpins(now[service])) for now in (change.before, change.after))
        lines.append(_elements("delete", sorted(old - new)))
        lines.append(_elements("add", sorted(new - old)))
        lines.append(_rewritten(service, addresses))
    for service in change.before.keys() - change.after.keys():
        lines.append(_removed(service, change.before[service]))
    return _text("", *lines)


def _text(head: str, *parts: Iterator[str]) -> str:
    return head + "".join(f"{line}\n" for part in parts for line in part)


def _name(service: int) -> str:
    return f"service-{service:08X}-default/service-{service}/tcp/http"


def _rule(service: int, addresses: list[str]) -> str:
    slots = ", ".join(f"{slot} : {ip} . {TARGET_PORT}" for slot, ip in enumerate(addresses))
    choice = f"numgen random mod {len(addresses)} map {{ {slots} }}"
    return f"{_RULE} {_name(service)} meta l4proto tcp dnat ip to {choice}"


def _hairpins(addresses: list[str]) -> Iterator[str]:
    for endpoint, ip in enumerate(addresses):
        if node_of(endpoint) == NODE_NAME:
            yield f"{ip} . {ip} . tcp . {TARGET_PORT}"


def _elements(verb: str, hairpins: list[str]) -> Iterator[str]:
    for hairpin in hairpins:
        yield f"{verb} element ip kube-proxy hairpin-connections {{ {hairpin} }}"


def _added(service: int, addresses: list[str]) -> Iterator[str]:
    address, name = cluster_ip(service), _name(service)
    yield f"{_ELEMENT} cluster-ips {{ {address} }}"
    yield f"{_CHAIN} {name}"
    yield _rule(service, addresses)
    yield f"{_ELEMENT} service-ips {{ {address} . tcp . {PORT} : goto {name} }}"
    yield from _elements("add", list(_hairpins(addresses)))


def _rewritten(service: int, addresses: list[str]) -> Iterator[str]:
    yield f"{_CHAIN} {_name(service)}"
    yield f"flush chain ip kube-proxy {_name(service)}"
    yield _rule(service, addresses)


def _removed(service: int, addresses: list[str]) -> Iterator[str]:
    address, name = cluster_ip(service), _name(service)
    yield f"delete element ip kube-proxy service-ips {{ {address} . tcp . {PORT} : goto {name} }}"
    yield f"delete element ip kube-proxy cluster-ips {{ {address} }}"
    yield from _elements("delete", list(_hairpins(addresses)))
    yield f"flush chain ip kube-proxy {name}"
    yield f"delete chain ip kube-proxy {name}"
