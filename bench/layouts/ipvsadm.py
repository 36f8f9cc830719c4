"""Virtual servers, as input of `ipvsadm -R`.

Masquerading, weight 1, round robin, as kube-proxy's IPVS mode has them by default. The addresses of
Services, which have to be on a device, are not `ipvsadm`'s, and so are left out.
"""

from collections.abc import Iterator

from ..cases import PORT, TARGET_PORT, cluster_ip
from ..changes import Change, Cluster


def load(cluster: Cluster) -> str:
    """Returns what programs everything where nothing is programmed."""
    return _text(
        line for service, addresses in cluster.all() for line in _added(service, addresses)
    )


def change(change: Change) -> str:
    """Returns what writes a change: first what comes, then what goes."""
    return _text(_lines(change))


def _lines(change: Change) -> Iterator[str]:
    for service, addresses in change.after.items():
        if service not in change.before:
            yield from _added(service, addresses)
            continue
        old = change.before[service]
        for ip in addresses:
            if ip not in old:
                yield _destination(service, ip)
        for ip in old:
            if ip not in addresses:
                yield f"-d -t {_frontend(service)} -r {ip}:{TARGET_PORT}"
    for service in change.before:
        if service not in change.after:
            yield f"-D -t {_frontend(service)}"


def _added(service: int, addresses: list[str]) -> Iterator[str]:
    yield f"-A -t {_frontend(service)} -s rr"
    for ip in addresses:
        yield _destination(service, ip)


def _destination(service: int, ip: str) -> str:
    return f"-a -t {_frontend(service)} -r {ip}:{TARGET_PORT} -m -w 1"


def _frontend(service: int) -> str:
    return f"{cluster_ip(service)}:{PORT}"


def _text(lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
