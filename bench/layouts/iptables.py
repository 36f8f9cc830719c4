"""The classic layout of kube-proxy in iptables mode, as input of `iptables-restore --noflush`.

A chain for each Service and one for each endpoint. As kube-proxy since 1.26 does, a change writes
the chains of the Services concerned and the whole of `KUBE-SERVICES`, which names every Service
(KEP-3453). Facts from kube-proxy's `pkg/proxy/iptables`; the text is our own.
"""

import base64
import hashlib
from collections.abc import Iterator

from ..cases import CLUSTER_CIDR, PORT, TARGET_PORT, cluster_ip
from ..changes import Change, Cluster

_MARK = "0x4000"
_CHAINS = ("KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-MARK-MASQ")
_JUMPS = (
    '-A PREROUTING -m comment --comment "service portals" -j KUBE-SERVICES',
    '-A OUTPUT -m comment --comment "service portals" -j KUBE-SERVICES',
    '-A POSTROUTING -m comment --comment "postrouting rules" -j KUBE-POSTROUTING',
)
"""From the chains of the kernel; written once, at the first load."""
_BASE = (
    f"-A KUBE-POSTROUTING -m mark ! --mark {_MARK}/{_MARK} -j RETURN",
    f"-A KUBE-POSTROUTING -j MARK --xor-mark {_MARK}",
    '-A KUBE-POSTROUTING -m comment --comment "service traffic requiring SNAT"'
    " -j MASQUERADE --random-fully",
    f"-A KUBE-MARK-MASQ -j MARK --or-mark {_MARK}",
)


def load(cluster: Cluster) -> str:
    """Returns what programs everything where nothing is programmed."""
    return _restore(cluster, dict(cluster.all()), [], _JUMPS)


def reload(cluster: Cluster) -> str:
    """Returns what a start over a programmed node writes: everything but the jumps."""
    return _restore(cluster, dict(cluster.all()), [], ())


def change(cluster: Cluster, change: Change) -> str:
    """Returns what writes a change that the cluster has already made."""
    gone = []
    for service, addresses in change.before.items():
        kept = set(change.after.get(service, ()))
        gone += [_endpoint_chain(service, ip) for ip in addresses if ip not in kept]
        if service not in change.after:
            gone.append(_service_chain(service))
    return _restore(cluster, change.after, gone, ())


def _restore(
    cluster: Cluster, written: dict[int, list[str]], gone: list[str], jumps: tuple[str, ...]
) -> str:
    chains = [*_CHAINS, *gone]
    rules: list[str] = [*jumps, *_BASE]
    for service, _addresses in cluster.all():
        rules.append(_service_jump(service))
    for service, addresses in written.items():
        chains.append(_service_chain(service))
        chains += [_endpoint_chain(service, ip) for ip in addresses]
        rules += _service_rules(service, addresses)
    return "".join(
        f"{line}\n"
        for line in (
            "*nat",
            *(f":{chain} - [0:0]" for chain in chains),
            *rules,
            *(f"-X {chain}" for chain in gone),
            "COMMIT",
        )
    )


def _hashed(*parts: str) -> str:
    digest = hashlib.sha256("".join(parts).encode()).digest()
    return base64.b32encode(digest).decode()[:16]


def _label(service: int) -> str:
    return f"default/service-{service}:http"


def _service_chain(service: int) -> str:
    return f"KUBE-SVC-{_hashed(_label(service), 'tcp')}"


def _endpoint_chain(service: int, ip: str) -> str:
    return f"KUBE-SEP-{_hashed(_label(service), 'tcp', f'{ip}:{TARGET_PORT}')}"


def _frontend(service: int) -> str:
    return f"-p tcp -m tcp -d {cluster_ip(service)} --dport {PORT}"


def _service_jump(service: int) -> str:
    comment = f'-m comment --comment "{_label(service)} cluster IP"'
    return f"-A KUBE-SERVICES {comment} {_frontend(service)} -j {_service_chain(service)}"


def _service_rules(service: int, addresses: list[str]) -> Iterator[str]:
    chain, label = _service_chain(service), _label(service)
    comment = f'-m comment --comment "{label} cluster IP"'
    yield f"-A {chain} {comment} {_frontend(service)} ! -s {CLUSTER_CIDR} -j KUBE-MARK-MASQ"
    for place, ip in enumerate(addresses):
        left = len(addresses) - place
        choice = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
        endpoint = _endpoint_chain(service, ip)
        comment = f'-m comment --comment "{label} -> {ip}:{TARGET_PORT}"'
        yield f"-A {chain} {comment} {choice}-j {endpoint}"
        comment = f"-m comment --comment {label}"
        yield f"-A {endpoint} {comment} -s {ip} -j KUBE-MARK-MASQ"
        yield (f"-A {endpoint} {comment} -p tcp -m tcp -j DNAT --to-destination {ip}:{TARGET_PORT}")
