"""One cold commit, timed inside the process:
`cold_commit SERVICES ENDPOINTS replay|apply [plain|mixed]`.

`replay` sends the bytes of a prebuilt transaction: the time the kernel alone needs. `apply` plans
and commits the same. Programs the network namespace it runs in.
"""

import json
import sys
import time

from kpx._core import Proxier

from . import cases, mixed
from .netfilter import commit


def main() -> None:
    """Prints `{"seconds": ...}`."""
    services, endpoints = int(sys.argv[1]), int(sys.argv[2])
    proxier = Proxier(json.dumps(cases.core_config()))
    lists = mixed.lists if sys.argv[4:] == ["mixed"] else cases.lists
    for page in lists(range(services), endpoints):
        proxier.feed(page)
    if sys.argv[3] == "replay":
        batch = proxier.plan().to_batch()
        started = time.perf_counter()
        commit(batch)
    else:
        started = time.perf_counter()
        proxier.apply(proxier.plan())
    print(json.dumps({"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
