"""The metrics that kube-proxy has too (`pkg/proxy/metrics/metrics.go`)."""

import json
import time
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.test_pipeline import Report, Rig, started
from kpx import Proxier
from kpx.agent.metrics import Metrics
from kpx.errors import CommitFailed
from objects import endpoint_slice, service

PREFIX = "kubeproxy_sync_proxy_rules_"
FAMILIES = ("IPv4", "IPv6")
BY_FAMILY = (
    f"{PREFIX}duration_seconds_count",
    f"{PREFIX}endpoint_changes_pending",
    f"{PREFIX}endpoint_changes_total",
    f"{PREFIX}last_queued_timestamp_seconds",
    f"{PREFIX}last_timestamp_seconds",
    f"{PREFIX}nftables_sync_failures_total",
    f"{PREFIX}service_changes_pending",
    f"{PREFIX}service_changes_total",
    "kubeproxy_network_programming_duration_seconds_count",
    "kubeproxy_sync_full_proxy_rules_duration_seconds_count",
    "kubeproxy_sync_partial_proxy_rules_duration_seconds_count",
)
OTHERS = (
    "kubeproxy_conntrack_reconciler_deleted_entries_total",
    "kubeproxy_conntrack_reconciler_sync_duration_seconds_count",
)

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(metrics: Metrics) -> Samples:
    """The values by name and sorted labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics)[name, tuple(sorted({"ip_family": "IPv4", **labels}.items()))]


def event(item: dict[str, Any], kind: str = "MODIFIED") -> bytes:
    return json.dumps({"type": kind, "object": item}).encode()


def test_every_name_is_there_with_its_labels() -> None:
    found = samples(started().metrics)
    for name in BY_FAMILY:
        for family in FAMILIES:
            assert (name, (("ip_family", family),)) in found, name
    for name in OTHERS:
        assert (name, ()) in found


def test_full_and_partial_passes_are_told_apart() -> None:
    rig = started()
    rig.now += 0.5
    rig.core.reports = [Report(trigger_times=[time.time() - 3])]
    rig.pipeline.changed()
    rig.step()
    for family in FAMILIES:
        found = {
            name: value(rig.metrics, name, ip_family=family)
            for name in BY_FAMILY
            if "count" in name
        }
        assert found == {
            f"{PREFIX}duration_seconds_count": 2,
            "kubeproxy_sync_full_proxy_rules_duration_seconds_count": 1,
            "kubeproxy_sync_partial_proxy_rules_duration_seconds_count": 1,
            "kubeproxy_network_programming_duration_seconds_count": 1,
        }
    assert value(rig.metrics, "kubeproxy_network_programming_duration_seconds_sum") > 2.9


def test_the_last_change_and_the_last_success_have_their_times() -> None:
    rig = Rig()
    before = time.time()
    rig.pipeline.provide(rig.core)
    queued = value(rig.metrics, f"{PREFIX}last_queued_timestamp_seconds")
    assert queued >= before
    assert value(rig.metrics, f"{PREFIX}last_timestamp_seconds") == 0
    rig.step()
    assert value(rig.metrics, f"{PREFIX}last_timestamp_seconds") >= queued


def test_failures_are_counted() -> None:
    rig = Rig()
    rig.core.error = CommitFailed("no permission")
    rig.pipeline.provide(rig.core)
    rig.step()
    assert value(rig.metrics, f"{PREFIX}nftables_sync_failures_total") == 1
    assert value(rig.metrics, f"{PREFIX}last_timestamp_seconds") == 0


@pytest.fixture
def core() -> Proxier:
    return Proxier('{"node_name": "node"}')


@pytest.fixture
def metrics(core: Proxier) -> Metrics:
    made = Metrics()
    made.provide(core.tally)
    return made


def test_changes_wait_until_they_are_looked_at(core: Proxier, metrics: Metrics) -> None:
    core.feed_event(event(service()))
    core.feed_event(event(endpoint_slice("web", "10.0.0.1")))
    core.feed_event(event(endpoint_slice("web", "10.0.0.2")))
    core.feed_event(event(endpoint_slice("web", "10.0.0.2")))
    six = {**endpoint_slice("six", "fd00::1"), "addressType": "IPv6"}
    core.feed_event(event(six))

    def shown(name: str) -> tuple[float, ...]:
        return tuple(value(metrics, f"{PREFIX}{name}", ip_family=one) for one in FAMILIES)

    assert shown("service_changes_pending") == (1, 1)
    assert shown("service_changes_total") == (1, 1)
    assert shown("endpoint_changes_pending") == (1, 1)
    assert shown("endpoint_changes_total") == (2, 1), "what says the same is no change"
    # Looking at what is left out takes changes in.
    core.rejections()
    assert shown("service_changes_pending") == (0, 0)
    assert shown("endpoint_changes_pending") == (0, 0)
    assert shown("endpoint_changes_total") == (2, 1)


def test_totals_go_on_with_another_core(core: Proxier, metrics: Metrics) -> None:
    core.feed_event(event(service()))
    other = Proxier('{"node_name": "node"}')
    other.feed_event(event(service()))
    metrics.provide(other.tally)
    assert value(metrics, f"{PREFIX}service_changes_total") == 2


@pytest.mark.parametrize("policy", ["internal", "external"])
def test_ports_without_endpoints_on_this_node(core: Proxier, metrics: Metrics, policy: str) -> None:
    ports = [{"name": one, "port": n, "nodePort": 30000 + n} for n, one in ((80, "a"), (81, "b"))]
    spec: dict[str, Any]
    spec = {f"{policy}TrafficPolicy": "Local", "type": "LoadBalancer", "externalIPs": ["192.0.2.7"]}
    slices = endpoint_slice("web", "10.0.0.1")
    slices["ports"] = [{"name": one, "port": 8080, "protocol": "TCP"} for one in ("a", "b")]

    def shown() -> dict[str, float]:
        core.rejections()
        name = f"{PREFIX}no_local_endpoints_total"
        return {one: value(metrics, name, traffic_policy=one) for one in ("internal", "external")}

    core.feed_event(event(service(ports=ports, **spec)))
    assert shown() == {"internal": 0, "external": 0}, "there are no endpoints anywhere"
    slices["endpoints"][0]["nodeName"] = "other"
    core.feed_event(event(slices))
    other = "external" if policy == "internal" else "internal"
    assert shown() == {policy: 2, other: 0}, "each port counts once, however it is addressed"
    slices["endpoints"][0]["nodeName"] = "node"
    core.feed_event(event(slices))
    assert shown() == {"internal": 0, "external": 0}
