"""Which Services are kept, when all is looked at again, and what Events say of Services."""

import json
import threading
from dataclasses import replace
from typing import Any

import pytest
from kubernetes.client import Configuration

from controller.harness import SETTINGS, events, eventually, published, put_pods, running, writes
from fakes.apiserver import ENDPOINT_SLICES, ENDPOINTS, NODES, SERVICES, ApiServer, Refusal
from kpx.controller import Controller, ControllerSettings, Scope, run
from kpx.errors import ConfigurationInvalid
from kpx.kube import Client
from objects import node, service

Object = dict[str, Any]


def settings(**scope: Any) -> ControllerSettings:
    return replace(SETTINGS, scope=replace(SETTINGS.scope, **scope))


def labelled(name: str, labels: Object, **spec: Any) -> Object:
    made = service(name, **spec)
    made["metadata"]["labels"] = labels
    return made


CHOSEN = settings(service_selector="team=shop", with_endpoints=True)


def test_only_services_with_the_labels_are_kept(server: ApiServer) -> None:
    put_pods(server, 1)
    theirs = {"metadata": {"namespace": "default", "name": "web"}, "subsets": []}
    server.put(ENDPOINTS, theirs)
    server.put(SERVICES, labelled("cart", {"team": "shop"}))
    with running(server, CHOSEN):
        eventually(lambda: published(server, "cart") == ["p1"])
        eventually(lambda: len(server.get(ENDPOINTS)) == 2)
        put_pods(server, 2)
        eventually(lambda: published(server, "cart") == ["p1", "p2"])
    # Not kept, but there: it gets no slices, and its Endpoints are not taken for leftovers.
    assert published(server, "web") == []
    assert [
        one["subsets"] for one in server.get(ENDPOINTS) if one["metadata"]["name"] == "web"
    ] == [[]]


def test_a_service_that_is_no_longer_chosen_loses_our_slices(server: ApiServer) -> None:
    put_pods(server, 1)
    server.put(SERVICES, labelled("cart", {"team": "shop"}))
    server.put(SERVICES, labelled("db", {"team": "shop"}, selector=None))
    subsets = [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]
    server.put(ENDPOINTS, {"metadata": {"namespace": "default", "name": "db"}, "subsets": subsets})
    with running(server, CHOSEN):
        eventually(lambda: len(server.get(ENDPOINT_SLICES)) == 2)
        for name in ("cart", "db"):
            spec: Object = {"selector": None} if name == "db" else {}
            server.put(SERVICES, labelled(name, {"team": "other"}, **spec))
        eventually(lambda: server.get(ENDPOINT_SLICES) == [])


def test_one_that_ceased_to_be_chosen_while_nobody_led_loses_them_too(server: ApiServer) -> None:
    put_pods(server, 1)
    server.put(SERVICES, labelled("cart", {"team": "shop"}))
    with running(server, CHOSEN):
        eventually(lambda: published(server, "cart") == ["p1"])
    server.put(SERVICES, labelled("cart", {}))
    with running(server, CHOSEN):
        eventually(lambda: server.get(ENDPOINT_SLICES) == [])


def test_e4_the_slices_of_a_chosen_service_that_is_deleted_go_with_their_owner(
    server: ApiServer,
) -> None:
    put_pods(server, 1)
    server.put(SERVICES, labelled("cart", {"team": "shop"}))
    with running(server, CHOSEN):
        eventually(lambda: published(server, "cart") == ["p1"])
        before = writes(server)
        server.remove(SERVICES, "default", "cart")
        server.put(SERVICES, labelled("marker", {"team": "shop"}))
        eventually(lambda: published(server, "marker") == ["p1"])
    assert writes(server) == before + 1


def test_a_selector_that_the_api_server_does_not_understand_is_an_error(server: ApiServer) -> None:
    server.refusals[SERVICES].append(Refusal(400, "unable to parse requirement", verb="list"))
    client = Client(Configuration(host=server.url))
    with pytest.raises(ConfigurationInvalid, match="unable to parse requirement"):
        run(client, settings(service_selector="a=("), threading.Event())


def test_an_api_server_that_is_busy_at_the_start_is_none(server: ApiServer) -> None:
    put_pods(server, 1)
    server.put(SERVICES, labelled("cart", {"team": "shop"}))
    server.refusals[SERVICES].append(Refusal(503, verb="list"))
    with running(server, CHOSEN):
        eventually(lambda: published(server, "cart") == ["p1"])


def test_e5_everything_is_looked_at_again_after_a_while(server: ApiServer) -> None:
    controller = Controller(Scope(resync_period=0.05))
    controller.state.services.feed(json.dumps({"items": [service()]}).encode())
    lost = threading.Event()
    client = Client(Configuration(host=server.url))
    leading = threading.Thread(target=controller.lead, args=(client, lost, 1))
    leading.start()

    def looks() -> float:
        value = controller.metrics.registry.get_sample_value
        # A sync whose cache does not show its write is a look, too; nothing is watched here.
        results = ("success", "stale")
        name = "endpoint_slice_controller_syncs"
        return sum(value(name, {"result": result}) or 0.0 for result in results)

    try:
        eventually(lambda: looks() >= 4)
    finally:
        lost.set()
        leading.join(20)


def test_l11_a_write_that_fails_is_told_by_an_event(server: ApiServer) -> None:
    put_pods(server, 1)
    server.refusals[ENDPOINT_SLICES].append(Refusal(500, verb="create"))
    with running(server):
        eventually(lambda: ("Service", "web", "FailedToUpdateEndpointSlices") in events(server))
        eventually(lambda: published(server) == ["p1"])


def zone_node(name: str, zone: str | None, cpu: str = "4", **parts: Any) -> Object:
    made = node(name, zone)
    made["status"] |= {
        "allocatable": {"cpu": cpu},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    return {**made, **parts}


def topology_aware(value: str = "Auto") -> Object:
    made = service()
    made["metadata"]["annotations"] = {"service.kubernetes.io/topology-mode": value}
    return made


def zones(server: ApiServer) -> list[list[str]]:
    return sorted(
        [zone["name"] for zone in endpoint.get("hints", {}).get("forZones", [])]
        for one in server.get(ENDPOINT_SLICES)
        for endpoint in one["endpoints"]
    )


def test_h2_hints_by_zone_come_and_go_with_what_is_known_of_nodes(server: ApiServer) -> None:
    server.remove(NODES, "", "node")
    for zone in ("a", "b"):
        server.put(NODES, zone_node(f"node-{zone}", zone))
    put_pods(server, 1, 2, node_name="node-a")
    put_pods(server, 3, 4, node_name="node-b")
    server.put(SERVICES, topology_aware())
    with running(server):
        eventually(lambda: zones(server) == [["a"], ["a"], ["b"], ["b"]])
        eventually(lambda: ("Service", "web", "TopologyAwareHintsEnabled") in events(server))
        # A Node about which not all is known makes the shares unknown.
        server.put(NODES, zone_node("node-c", None))
        eventually(lambda: zones(server) == [[], [], [], []])
        eventually(lambda: ("Service", "web", "TopologyAwareHintsDisabled") in events(server))
        server.put(NODES, zone_node("node-c", "a", "100m"))
        eventually(lambda: [] not in zones(server))
        server.put(SERVICES, topology_aware("Disabled"))
        eventually(lambda: zones(server) == [[], [], [], []])
