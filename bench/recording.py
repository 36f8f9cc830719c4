"""What kpx writes in each step of a session, for peers that write the same without planning it:
`recording FORM FILE SERVICES ENDPOINTS KIND COUNTS`.

FORM is `batch` (netlink messages) or `nft` (text); COUNTS, a JSON object, says how many changes
there are of each case. Programs the network namespace it runs in: not that of the peer.
"""

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kpx import Proxier

from . import cases, mixed
from .changes import Cluster

PAGE = 1_000
"""Services fed at a time, so that the largest clusters need not stand in memory as JSON."""
_LENGTH = struct.Struct("=Q")


def fed(services: int, endpoints: int, kind: str, backend: str | None = None) -> Proxier:
    """Returns a core that knows of a cluster, `plain` or `mixed`, and has programmed nothing."""
    backends = {} if backend is None else {"backend": backend}
    proxier = Proxier(json.dumps(cases.core_config() | backends))
    lists = mixed.lists if kind == "mixed" else cases.lists
    for start in range(0, services, PAGE):
        for page in lists(range(start, min(start + PAGE, services)), endpoints):
            proxier.feed(page)
    return proxier


def read(path: Path) -> Iterator[bytes]:
    """Yields the steps of a recording: the load, then each change in the order of the cases."""
    with path.open("rb") as file:
        while header := file.read(_LENGTH.size):
            yield file.read(*_LENGTH.unpack(header))


def main() -> None:
    """Makes a recording."""
    form, path, services, endpoints, kind, counts = sys.argv[1:]
    cluster = Cluster(int(services), int(endpoints))
    proxier = fed(cluster.services, cluster.endpoints, kind)
    with Path(path).open("wb") as file:
        _record(proxier, form, file)
        for case, make in cluster.makers().items():
            for _ in range(json.loads(counts).get(case, 0)):
                for line in make().events():
                    proxier.feed_event(line)
                _record(proxier, form, file)


def _record(proxier: Proxier, form: str, file: BinaryIO) -> None:
    plan = proxier.plan_changes()
    step = plan.to_batch() if form == "batch" else plan.to_nft().encode()
    file.write(_LENGTH.pack(len(step)) + step)
    proxier.apply(plan)


if __name__ == "__main__":
    main()
