"""kpx's own dump of the kernel, against libnftables: element by element."""

import json

from .cluster import Cluster


def test_every_element_is_what_libnftables_says(programmed: Cluster) -> None:
    status = json.loads(programmed.kpx("status", "--verify", "-o", "json").stdout)

    assert status["verification"]["differences"] == []
    elements = sum(sum(table["elements"].values()) for table in status["tables"].values())
    assert status["verification"]["elements"] > 200
    # What packets add is counted, and not compared.
    assert status["verification"]["elements"] <= elements
