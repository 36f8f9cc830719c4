"""Endpoints on a cluster, where they are asked for."""

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from controller.harness import SETTINGS, events, eventually, published, put_pods, running
from fakes.apiserver import ENDPOINTS, PODS, SERVICES, ApiServer, Refusal
from objects import pod, service

Object = dict[str, Any]

WITH_ENDPOINTS = replace(SETTINGS, scope=replace(SETTINGS.scope, with_endpoints=True))
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
LEADER = {"control-plane.alpha.kubernetes.io/leader": "{}"}


def endpoints(server: ApiServer, name: str = "web") -> Object | None:
    return next((one for one in server.get(ENDPOINTS) if one["metadata"]["name"] == name), None)


def ready(server: ApiServer, name: str = "web") -> list[str]:
    """The names of the Pods that Endpoints have as ready."""
    found = endpoints(server, name) or {}
    return sorted(
        address.get("targetRef", {}).get("name", "")
        for subset in found.get("subsets", [])
        for address in subset.get("addresses", [])
    )


def writes(server: ApiServer) -> list[str]:
    return [
        request.verb
        for request in server.requests
        if "/endpoints" in request.path
        and request.verb in ("create", "update", "delete")
        and "endpointslices" not in request.path
    ]


def hand_made(name: str = "web", **metadata: Any) -> Object:
    return {
        "metadata": {"namespace": "default", "name": name, **metadata},
        "subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}],
    }


def test_n11_without_the_switch_nothing_is_written(server: ApiServer) -> None:
    put_pods(server, 1)
    with running(server):
        eventually(lambda: published(server) == ["p1"])
    assert (server.get(ENDPOINTS), writes(server)) == ([], [])


def test_n11_endpoints_follow_pods_though_they_are_deprecated(server: ApiServer) -> None:
    server.answer_headers[ENDPOINTS] = {"Warning": '299 - "v1 Endpoints is deprecated in v1.33+"'}
    put_pods(server, 1)
    with running(server, WITH_ENDPOINTS):
        eventually(lambda: ready(server) == ["p1"])
        put_pods(server, 2)
        eventually(lambda: ready(server) == ["p1", "p2"])
        put_pods(server, 1, ready=False)
        eventually(lambda: ready(server) == ["p2"])
        server.remove(PODS, "default", "p2")
        eventually(lambda: ready(server) == [] and published(server) == ["p1"])
    found = endpoints(server)
    assert found is not None
    assert [one["ip"] for one in found["subsets"][0]["notReadyAddresses"]] == ["10.0.0.1"]


def test_e4_the_endpoints_of_a_service_that_is_deleted_are_deleted(server: ApiServer) -> None:
    put_pods(server, 1)
    with running(server, WITH_ENDPOINTS):
        eventually(lambda: ready(server) == ["p1"] and published(server) == ["p1"])
        server.remove(SERVICES, "default", "web")
        eventually(lambda: endpoints(server) is None)
    # Slices are deleted by the API server's garbage collection, with their owner.
    assert published(server) == ["p1"]


def test_e4_endpoints_that_are_gone_already_need_no_deletion(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    put_pods(server, 1)
    with running(server, WITH_ENDPOINTS):
        eventually(lambda: ready(server) == ["p1"])
        refusal = Refusal(404, reason="NotFound", verb="delete")
        server.refusals[ENDPOINTS].append(refusal)
        server.remove(SERVICES, "default", "web")
        eventually(lambda: "delete" in writes(server))
    assert "tried again" not in caplog.text


def test_n7_endpoints_that_say_the_same_are_not_written(server: ApiServer) -> None:
    put_pods(server, 1, 2)
    with running(server, WITH_ENDPOINTS):
        eventually(lambda: ready(server) == ["p1", "p2"])
    found = copy.deepcopy(endpoints(server))
    assert found is not None
    # Another order, and versions of Pods, are as upstream's controller may have written them.
    for subset in found["subsets"]:
        subset["addresses"].reverse()
        for address in subset["addresses"]:
            address["targetRef"]["resourceVersion"] = "7"
    server.put(ENDPOINTS, found)
    before = writes(server)
    server.put(SERVICES, service("marker", selector={"app": "marker"}))
    with running(server, WITH_ENDPOINTS):
        eventually(lambda: endpoints(server, "marker") is not None)
        put_pods(server, 3)
        eventually(lambda: ready(server) == ["p1", "p2", "p3"])
    assert sorted(writes(server)[len(before) :]) == ["create", "update"]


def test_n7_what_somebody_changes_is_put_right(server: ApiServer) -> None:
    put_pods(server, 1)
    with running(server, WITH_ENDPOINTS):
        eventually(lambda: ready(server) == ["p1"])
        found = copy.deepcopy(endpoints(server))
        assert found is not None
        server.put(ENDPOINTS, {**found, "subsets": []})
        eventually(lambda: ready(server) == ["p1"])
        server.remove(ENDPOINTS, "default", "web")
        eventually(lambda: ready(server) == ["p1"])


def test_n8_the_write_carries_the_time_of_the_change(server: ApiServer) -> None:
    web = service()
    web["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    server.put(SERVICES, web)

    def carried() -> str | None:
        found = endpoints(server) or {"metadata": {}}
        time: str | None = found["metadata"].get("annotations", {}).get(TRIGGER_TIME)
        return time

    def since(time: str) -> Object:
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": time}
        return {"status": {"phase": "Running", "conditions": [ready]}}

    with running(server, WITH_ENDPOINTS):
        eventually(lambda: carried() == "2026-01-01T00:00:00Z")
        # A write that fails does not lose the time.
        server.refusals[ENDPOINTS].append(Refusal(500, verb="update"))
        server.put(PODS, pod("p1", "10.0.0.1", **since("2026-01-02T00:00:00Z")))
        eventually(lambda: carried() == "2026-01-02T00:00:00Z")
        server.remove(PODS, "default", "p1")
        eventually(lambda: ready(server) == [] and carried() is None)


def test_n9_endpoints_without_a_service_are_removed_at_the_start(server: ApiServer) -> None:
    server.put(ENDPOINTS, hand_made("left"))
    server.put(ENDPOINTS, hand_made("lock", annotations=LEADER))
    with running(server, WITH_ENDPOINTS):
        eventually(lambda: endpoints(server, "left") is None)
        eventually(lambda: endpoints(server) is not None)
    assert endpoints(server, "lock") is not None


def test_n9_endpoints_of_a_service_that_cannot_be_read_stay(server: ApiServer) -> None:
    server.put(ENDPOINTS, hand_made("odd"))
    server.put(
        SERVICES, {"metadata": {"namespace": "default", "name": "odd"}, "spec": {"ports": 1}}
    )
    put_pods(server, 1)
    with running(server, WITH_ENDPOINTS):
        eventually(lambda: ready(server) == ["p1"])
        server.put(ENDPOINTS, hand_made("odd", labels={"a": "b"}))
        put_pods(server, 2)
        eventually(lambda: ready(server) == ["p1", "p2"])
    assert endpoints(server, "odd") is not None


def test_n10_endpoints_of_a_service_without_a_selector_are_nobodys_but_their_writers(
    server: ApiServer,
) -> None:
    server.put(SERVICES, service("kubernetes", selector=None))
    made = server.put(ENDPOINTS, hand_made("kubernetes"))
    put_pods(server, 1)
    with running(server, WITH_ENDPOINTS):
        eventually(lambda: ready(server) == ["p1"])
    assert endpoints(server, "kubernetes") == made


@pytest.mark.parametrize("spec", [{"type": "ExternalName"}, {"selector": None}])
def test_what_was_made_for_a_selector_that_is_gone_is_deleted(
    server: ApiServer, spec: Object
) -> None:
    put_pods(server, 1)
    with running(server, WITH_ENDPOINTS):
        eventually(lambda: ready(server) == ["p1"] and published(server) == ["p1"])
        server.put(SERVICES, service(**spec))
        eventually(lambda: endpoints(server) is None and published(server) == [])


def test_what_somebody_takes_over_when_the_selector_goes_stays(server: ApiServer) -> None:
    put_pods(server, 1)
    with running(server, WITH_ENDPOINTS):
        eventually(lambda: ready(server) == ["p1"])
    found = copy.deepcopy(endpoints(server))
    assert found is not None
    found["subsets"] = hand_made()["subsets"]
    server.put(ENDPOINTS, found)
    server.put(SERVICES, service(selector=None))
    server.put(SERVICES, service("marker", selector={"app": "marker"}))
    with running(server, WITH_ENDPOINTS):
        eventually(lambda: endpoints(server, "marker") is not None)
    assert (endpoints(server) or {})["subsets"] == hand_made()["subsets"]


def test_l10_no_write_is_based_on_a_cache_that_does_not_show_the_last(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    put_pods(server, 1)
    with running(server, WITH_ENDPOINTS):
        eventually(lambda: ready(server) == ["p1"])
        server.hold(ENDPOINTS)
        before = len(writes(server))
        put_pods(server, 2)
        eventually(lambda: len(published(server)) == 2)
        put_pods(server, 3, 4)
        eventually(lambda: len(published(server)) == 4)
        # One at most: its echo is held back, and so, perhaps, is that of the one before.
        assert len(writes(server)) <= before + 1
        server.release(ENDPOINTS)
        eventually(lambda: ready(server) == ["p1", "p2", "p3", "p4"])
    assert "(409)" not in caplog.text


@pytest.mark.parametrize(
    ("verb", "reason"), [("create", "FailedToCreateEndpoint"), ("update", "FailedToUpdateEndpoint")]
)
def test_l11_a_write_that_fails_is_told_by_an_event(
    server: ApiServer, verb: str, reason: str
) -> None:
    if verb == "update":
        server.put(ENDPOINTS, hand_made())
    server.refusals[ENDPOINTS].append(Refusal(500, verb=verb))
    put_pods(server, 1)
    with running(server, WITH_ENDPOINTS):
        eventually(lambda: ("Endpoints", "web", reason) in events(server))
        eventually(lambda: ready(server) == ["p1"])


def test_p11_a_namespace_on_its_way_out_ends_the_sync(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps({"details": {"causes": [{"reason": "NamespaceTerminating"}]}}).encode()
    server.refusals[ENDPOINTS].append(Refusal(403, body=body, verb="create"))
    put_pods(server, 1)
    with running(server, WITH_ENDPOINTS):
        eventually(lambda: writes(server) == ["create"])
        eventually(lambda: published(server) == ["p1"])
    assert "tried again" not in caplog.text
