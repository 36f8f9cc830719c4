"""From a Pod that is ready to its name: the API server, `kpx controller`, and the name server."""

import pytest

from stateful_set import stateful_set

from .conftest import Record

pytestmark = pytest.mark.timeout(300)

PODS = 100


def test_pod_to_name(record: Record) -> None:
    with stateful_set() as running:
        for number in range(PODS):
            running.start(number % 6)
    delays = sorted(1000 * delay for delay in running.delays)
    median, p99 = delays[PODS // 2], delays[PODS * 99 // 100]
    record(
        "From a Pod that is ready to its name, p50 and p99", f"{median:.1f}, {p99:.1f} ms", "100"
    )
    assert median < 100
