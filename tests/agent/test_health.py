"""/healthz and /livez: the table of upstream's `TestHealthzServer` and `TestLivezServer`."""

import json

import pytest

from kpx.agent.health import Health, is_eligible


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def test_healthy_until_a_change_has_waited_too_long() -> None:
    clock = Clock()
    health = Health(10, clock=clock)
    assert health.healthz()[0] == 200, "starting up"
    health.updated()
    clock.now += 100
    assert health.healthz()[0] == 200, "nothing to do is no reason to be unhealthy"
    health.queued()
    clock.now += 9
    health.queued()
    assert health.livez()[0] == 200
    clock.now += 1
    assert (health.healthz()[0], health.livez()[0]) == (503, 503), "the oldest change counts"
    health.updated()
    assert (health.healthz()[0], health.livez()[0]) == (200, 200)


def test_the_node_decides_healthz_alone() -> None:
    health = Health(10)
    health.node(False)
    status, body = health.healthz()
    assert (status, json.loads(body)["nodeEligible"]) == (503, False)
    assert health.livez()[0] == 200
    health.node(True)
    assert health.healthz()[0] == 200


def test_bodies_are_those_of_kube_proxy() -> None:
    clock = Clock()
    health = Health(10, clock=clock)
    now = "2027-01-15 08:00:00.000000 +0000 UTC"
    assert json.loads(health.healthz()[1]) == {
        "lastUpdated": now,
        "currentTime": now,
        "nodeEligible": True,
    }
    health.updated()
    health.queued()
    clock.now += 60
    assert json.loads(health.livez()[1]) == {
        "lastUpdated": now,
        "currentTime": "2027-01-15 08:01:00.000000 +0000 UTC",
    }


@pytest.mark.parametrize(
    ("node", "eligible"),
    [
        ({}, True),
        ({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, False),
        ({"metadata": {"deletionTimestamp": None}}, True),
        ({"spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler"}]}}, False),
        ({"spec": {"taints": [{"key": "node.kubernetes.io/unreachable"}]}}, True),
        ({"spec": {"taints": None}}, True),
        ({"spec": "nonsense", "metadata": []}, True),
    ],
)
def test_eligibility(node: dict[str, object], eligible: bool) -> None:
    assert is_eligible(node) is eligible
