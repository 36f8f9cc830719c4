"""What a slice that says little means to those who read it."""

import json
from typing import Any

import pytest

from kpx._core import DnsStore
from objects import endpoint_slice, service


@pytest.mark.parametrize(
    ("conditions", "is_used"),
    [
        (None, True),
        ({}, True),
        ({"ready": None, "serving": None, "terminating": None}, True),
        ({"serving": False}, True),
        ({"ready": False}, False),
        ({"ready": False, "serving": True}, False),
    ],
)
def test_c7_a_condition_that_is_not_said_is_as_good_as_ready(
    conditions: dict[str, Any] | None, is_used: bool
) -> None:
    store = DnsStore(json.dumps({"zone": "cluster.local", "ttl": 5}))
    written = endpoint_slice("web", "10.0.0.1")
    written["endpoints"][0]["conditions"] = conditions
    for shown in (service(clusterIP="None", clusterIPs=["None"]), written):
        store.feed(json.dumps(shown).encode())
    store.complete()
    answer = json.loads(store.query("web.default.svc.cluster.local", "A"))
    assert ("10.0.0.1" in json.dumps(answer)) == is_used
