"""Slices that mirror hand-made Endpoints, on a cluster."""

import copy
from typing import Any

import pytest

from controller.harness import events, eventually, published, put_pods, running
from fakes.apiserver import ENDPOINT_SLICES, ENDPOINTS, SERVICES, ApiServer, Refusal
from objects import service

Object = dict[str, Any]


def hand_made(*ips: str, name: str = "db", **metadata: Any) -> Object:
    return {
        "metadata": {"namespace": "default", "name": name, **metadata},
        "subsets": [{"addresses": [{"ip": ip} for ip in ips], "ports": [{"port": 5432}]}],
    }


def mirrored(server: ApiServer, name: str = "db") -> list[Object]:
    return [
        one
        for one in server.get(ENDPOINT_SLICES)
        if one["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
        == "endpointslicemirroring-controller.kpx.dev"
        and one["metadata"]["labels"]["kubernetes.io/service-name"] == name
    ]


def addresses(server: ApiServer) -> list[str]:
    return sorted(
        address
        for one in mirrored(server)
        for endpoint in one["endpoints"]
        for address in endpoint["addresses"]
    )


@pytest.fixture
def db(server: ApiServer) -> ApiServer:
    """With a Service without a selector, and its Endpoints."""
    server.put(SERVICES, service("db", selector=None))
    server.put(ENDPOINTS, hand_made("192.0.2.1", labels={"a": "b"}, annotations={"note": "x"}))
    return server


def test_m1_endpoints_are_mirrored_as_they_change(db: ApiServer) -> None:
    with running(db):
        eventually(lambda: addresses(db) == ["192.0.2.1"])
        db.put(ENDPOINTS, hand_made("192.0.2.1", "192.0.2.2"))
        eventually(lambda: addresses(db) == ["192.0.2.1", "192.0.2.2"])
        db.remove(ENDPOINTS, "default", "db")
        eventually(lambda: mirrored(db) == [])


def test_m5_an_annotation_alone_is_mirrored(db: ApiServer) -> None:
    def annotations() -> list[Object]:
        return [one["metadata"].get("annotations", {}) for one in mirrored(db)]

    with running(db):
        eventually(lambda: annotations() == [{"note": "x"}])
        db.put(ENDPOINTS, hand_made("192.0.2.1", labels={"a": "b"}, annotations={"note": "y"}))
        eventually(lambda: annotations() == [{"note": "y"}])
        db.put(ENDPOINTS, hand_made("192.0.2.1", labels={"a": "b"}))
        eventually(lambda: annotations() == [{}])


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}},
    ],
)
def test_m2_endpoints_that_are_no_longer_to_be_mirrored(db: ApiServer, metadata: Object) -> None:
    with running(db):
        eventually(lambda: addresses(db) == ["192.0.2.1"])
        db.put(ENDPOINTS, hand_made("192.0.2.1", **metadata))
        eventually(lambda: mirrored(db) == [])


def test_m2_a_selector_ends_it_and_its_removal_begins_it_again(db: ApiServer) -> None:
    put_pods(db, 1)
    with running(db):
        eventually(lambda: addresses(db) == ["192.0.2.1"])
        db.put(SERVICES, service("db"))
        eventually(lambda: mirrored(db) == [] and published(db, "db") == ["p1"])
        db.put(SERVICES, service("db", selector=None))
        eventually(lambda: addresses(db) == ["192.0.2.1"] and len(db.get(ENDPOINT_SLICES)) == 2)


def test_m2_a_service_that_is_deleted_takes_its_mirrored_slices_along(db: ApiServer) -> None:
    with running(db):
        eventually(lambda: addresses(db) == ["192.0.2.1"])
        db.remove(SERVICES, "default", "db")
        eventually(lambda: mirrored(db) == [])


def test_m2_what_ended_while_nobody_led_is_cleaned_up(db: ApiServer) -> None:
    with running(db):
        eventually(lambda: addresses(db) == ["192.0.2.1"])
    db.remove(ENDPOINTS, "default", "db")
    with running(db):
        eventually(lambda: mirrored(db) == [])


def test_endpoints_that_cannot_be_read_leave_what_was_mirrored(db: ApiServer) -> None:
    with running(db):
        eventually(lambda: addresses(db) == ["192.0.2.1"])
    db.put(ENDPOINTS, {**hand_made("192.0.2.9"), "subsets": "all of them"})
    put_pods(db, 1)
    with running(db):
        eventually(lambda: published(db) == ["p1"])
        db.put(SERVICES, service("db", selector=None, type="ClusterIP", clusterIP="10.96.0.99"))
        put_pods(db, 2)
        eventually(lambda: published(db) == ["p1", "p2"])
    assert addresses(db) == ["192.0.2.1"]


def test_m6_a_write_that_fails_is_tried_again_and_told_by_an_event(db: ApiServer) -> None:
    # The wait goes from 1 s to 100 s: upstream's, and its own queue's.
    for _ in range(2):
        db.refusals[ENDPOINT_SLICES].append(Refusal(500, verb="create"))
    db.remove(SERVICES, "default", "web")
    with running(db):
        eventually(lambda: addresses(db) == ["192.0.2.1"])
        eventually(lambda: ("Endpoints", "db", "FailedToUpdateEndpointSlices") in events(db))


def test_l11_m3_m4_what_is_left_out_is_told_by_events(db: ApiServer) -> None:
    many = [f"10.{one // 65536}.{one // 256 % 256}.{one % 256}" for one in range(1001)]
    db.put(ENDPOINTS, hand_made("nonsense", *many))
    with running(db):
        reasons = ("InvalidIPAddress", "TooManyAddressesToMirror")
        eventually(lambda: {("Endpoints", "db", reason) for reason in reasons} <= events(db))
    assert len(addresses(db)) == 999


def test_e8_what_somebody_changes_on_a_mirrored_slice_is_put_right(db: ApiServer) -> None:
    with running(db):
        eventually(lambda: addresses(db) == ["192.0.2.1"])
        [made] = copy.deepcopy(mirrored(db))
        db.put(ENDPOINT_SLICES, {**made, "endpoints": []})
        eventually(lambda: addresses(db) == ["192.0.2.1"])
        db.remove(ENDPOINT_SLICES, "default", mirrored(db)[0]["metadata"]["name"])
        eventually(lambda: addresses(db) == ["192.0.2.1"])


def test_a_restart_writes_nothing(db: ApiServer) -> None:
    with running(db):
        eventually(lambda: addresses(db) == ["192.0.2.1"])
    [before] = mirrored(db)
    put_pods(db, 1)
    with running(db):
        eventually(lambda: published(db) == ["p1"])
        db.put(SERVICES, service("other", selector=None))
        db.put(ENDPOINTS, hand_made("192.0.2.7", name="other"))
        eventually(lambda: mirrored(db, "other"))
    assert mirrored(db) == [before]
