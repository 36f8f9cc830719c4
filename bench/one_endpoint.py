"""One endpoint changes, again and again:
`one_endpoint SERVICES ENDPOINTS EVENTS [plain|mixed]`.

Times each change from the bytes of the watch event to the end of the commit, inside the process.
Programs the network namespace it runs in.
"""

import gc
import json
import sys
import time

from kpx._core import Proxier

from . import cases, mixed

PAGE = 1_000
"""Services fed at a time, so that the largest cases need not stand in memory as JSON."""
WARM_UP = 50
"""Changes made before any is timed."""


def main() -> None:
    """Prints `{"microseconds": [...], "operations": ...}`."""
    services, endpoints, events = (int(argument) for argument in sys.argv[1:4])
    lists = mixed.lists if sys.argv[4:] == ["mixed"] else cases.lists
    proxier = Proxier(json.dumps(cases.core_config()))
    for start in range(0, services, PAGE):
        for page in lists(range(start, min(start + PAGE, services)), endpoints):
            proxier.feed(page)
    proxier.apply(proxier.plan())

    # Spread over all Services, each changed as often as any other.
    lines = [
        cases.slice_event(number * 7919 % services, endpoints, number)
        for number in range(WARM_UP + events)
    ]
    gc.disable()
    microseconds = []
    operations = 0
    for line in lines:
        started = time.perf_counter_ns()
        proxier.feed_event(line)
        report = proxier.apply(proxier.plan_changes())
        microseconds.append((time.perf_counter_ns() - started) / 1e3)
        operations += report.operations
    print(json.dumps({"microseconds": microseconds[WARM_UP:], "operations": operations}))


if __name__ == "__main__":
    main()
