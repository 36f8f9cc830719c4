"""What /metrics says of syncs, writes and queues."""

import socket
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

from prometheus_client import generate_latest

from controller.harness import SETTINGS, eventually, put_pods, running
from fakes.apiserver import ENDPOINT_SLICES, ENDPOINTS, SERVICES, ApiServer
from kpx.controller import WorkQueue
from kpx.controller.metrics import UpkeepMetrics
from kpx.endpointslices import EndpointSlice, Extent, SlicePlan
from objects import service

KEY, OTHER = ("default", "web"), ("default", "other")
NAMES = (Path(__file__).parent / "upstream_metrics.txt").read_text().split()
ONE = EndpointSlice("default", {}, "IPv4", (), ())


def test_l12_metrics_have_upstreams_names() -> None:
    metrics = UpkeepMetrics()
    metrics.queue("endpoint_slice")
    metrics.slices.synced("success")
    metrics.slices.distributes(KEY, "PreferClose")
    metrics.slices.wrote(KEY, SlicePlan(create=(ONE,)), Extent(1, 0, 1, 1), 1)
    metrics.slices.changed(SlicePlan(), is_topology_aware=False, distribution="")
    metrics.mirrored.wrote(KEY, SlicePlan(create=(ONE,)), Extent(1, 0, 1, 1), 1)
    metrics.mirrored.mirrored(0, 0)
    metrics.mirrored.took(0.1)
    text = generate_latest(metrics.registry).decode()
    shown = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if line[0] != "#"}
    for suffix in ("_bucket", "_sum", "_count"):
        shown = {name.removesuffix(suffix) for name in shown}
    shown = {name for name in shown if not name.endswith("_created")}
    assert sorted(shown) == sorted(NAMES)


def test_l12_syncs_and_changes_are_counted() -> None:
    metrics = UpkeepMetrics()
    metrics.slices.wrote(KEY, SlicePlan(create=(ONE, ONE), delete=(ONE,)), Extent(3, 1, 5, 2), 3)
    metrics.slices.synced("error")
    metrics.slices.synced("stale")
    value = metrics.registry.get_sample_value
    name = "endpoint_slice_controller"
    assert value(f"{name}_changes", {"operation": "create"}) == 2
    assert value(f"{name}_changes", {"operation": "delete"}) == 1
    assert value(f"{name}_syncs", {"result": "error"}) == 1
    assert value(f"{name}_syncs", {"result": "stale"}) == 1
    assert value(f"{name}_endpoints_added_per_sync_sum") == 3
    assert value(f"{name}_endpoints_removed_per_sync_sum") == 1


def test_l12_totals_follow_each_service() -> None:
    metrics = UpkeepMetrics()

    def totals() -> list[float | None]:
        names = ("endpoints_desired", "num_endpoint_slices", "desired_endpoint_slices")
        prefix = "endpoint_slice_controller"
        return [metrics.registry.get_sample_value(f"{prefix}_{name}") for name in names]

    metrics.slices.wrote(KEY, SlicePlan(), Extent(0, 0, 5, 2), 3)
    metrics.slices.wrote(OTHER, SlicePlan(), Extent(0, 0, 1, 1), 1)
    assert totals() == [6, 4, 3]
    metrics.slices.wrote(KEY, SlicePlan(), Extent(0, 0, 2, 1), 1)
    assert totals() == [3, 2, 2]
    metrics.slices.forget(KEY)
    metrics.slices.forget(KEY)
    assert totals() == [1, 1, 1]


def test_l12_services_are_counted_by_their_distribution() -> None:
    metrics = UpkeepMetrics()

    def count(distribution: str) -> float | None:
        return metrics.registry.get_sample_value(
            "endpoint_slice_controller_services_count_by_traffic_distribution",
            {"traffic_distribution": distribution},
        )

    metrics.slices.distributes(KEY, "PreferClose")
    metrics.slices.distributes(OTHER, "PreferClose")
    metrics.slices.distributes(KEY, "PreferSameNode")
    metrics.slices.distributes(KEY, "PreferSameNode")
    assert (count("PreferClose"), count("PreferSameNode")) == (1, 1)
    metrics.slices.distributes(OTHER, "")
    assert (count("PreferClose"), count("")) == (0, None)


def test_l12_a_controller_at_work_counts(server: ApiServer) -> None:
    put_pods(server, 1, 2)
    server.put(SERVICES, service("db", selector=None))
    subsets = [{"addresses": [{"ip": "192.0.2.1"}, {"ip": "?"}], "ports": [{"port": 80}]}]
    server.put(ENDPOINTS, {"metadata": {"namespace": "default", "name": "db"}, "subsets": subsets})
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    with running(server, replace(SETTINGS, metrics_address=("127.0.0.1", port))) as ended:
        eventually(lambda: len(server.get(ENDPOINT_SLICES)) == 2)
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
            assert b"\nendpoint_slice_controller_syncs{" in answer.read()
    [controller] = ended

    def value(metric: str, **labels: str) -> float:
        return controller.metrics.registry.get_sample_value(metric, labels) or 0.0

    assert value("endpoint_slice_controller_changes", operation="create") == 1
    assert value("endpoint_slice_controller_syncs", result="success") >= 1
    assert value("endpoint_slice_controller_endpoints_desired") == 2
    assert value("endpoint_slice_controller_num_endpoint_slices") == 1
    mirroring = "endpoint_slice_mirroring_controller"
    assert value(f"{mirroring}_changes", operation="create") == 1
    assert value(f"{mirroring}_addresses_skipped_per_sync_sum") >= 1
    assert value(f"{mirroring}_endpoints_desired") == 1
    assert value(f"{mirroring}_endpoints_sync_duration_count") >= 1
    for queue in ("endpoint_slice", "endpoint_slice_mirroring"):
        assert value("workqueue_adds_total", name=queue) >= 1
        assert value("workqueue_work_duration_seconds_count", name=queue) >= 1


def test_a_queue_tells_how_long_keys_wait_and_how_often_they_come_again() -> None:
    metrics = UpkeepMetrics()
    now = [100.0]
    queued = metrics.queue("endpoint")
    queue: WorkQueue[str] = WorkQueue(lambda: now[0], observer=queued)

    def value(name: str) -> float | None:
        return metrics.registry.get_sample_value(f"workqueue_{name}", {"name": "endpoint"})

    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert (value("depth"), value("adds_total")) == (2, 2)
    now[0] += 3
    assert queue.get() == "a"
    assert (value("depth"), value("queue_duration_seconds_sum")) == (1, 3)
    with queued.working():
        assert (value("unfinished_work_seconds") or 0) > 0
        assert (value("longest_running_processor_seconds") or 0) > 0
    assert (value("unfinished_work_seconds"), value("work_duration_seconds_count")) == (0, 1)
    queue.done("a", failed=True)
    assert value("retries_total") == 1
