from typing import Any

import pytest

from kpx.endpointslices import Service, reconcile
from kpx.endpointslices.ports import EndpointPort, endpoint_ports, port_map_key
from objects import pod, pod_record, service

Object = dict[str, Any]


def container(*ports: Object, **fields: Any) -> Object:
    return {"name": "c", "ports": list(ports), **fields}


def named(name: str, number: int, protocol: str = "TCP") -> Object:
    return {"name": name, "containerPort": number, "protocol": protocol}


def resolve(ports: list[Object], **spec: Any) -> list[EndpointPort]:
    return endpoint_ports(
        Service.from_object(service(ports=ports)),
        pod_record(pod("a", "10.0.0.1", spec=spec)),
    )


def test_c16_numbers_are_used_as_they_are() -> None:
    [port] = resolve([{"port": 80, "targetPort": 8080}], containers=[])
    assert port.number == 8080


@pytest.mark.parametrize("target", [{}, {"targetPort": 0}, {"targetPort": ""}])
def test_a_target_that_is_left_out_is_the_port_itself(target: Object) -> None:
    [port] = resolve([{"port": 80, **target}])
    assert port.number == 80


def test_c17_a_name_is_looked_up_with_its_protocol_and_the_first_counts() -> None:
    containers = [
        container(named("http", 53, "UDP"), named("other", 1)),
        container(named("http", 8080)),
        container(named("http", 9090)),
    ]
    [port] = resolve([{"port": 80, "targetPort": "http"}], containers=containers)
    assert port.number == 8080


def test_c17_sidecars_come_after_containers_and_other_init_containers_never() -> None:
    init_containers = [
        container(named("http", 1)),
        container(named("http", 2), restartPolicy="Always"),
    ]
    ports = [{"port": 80, "targetPort": "http"}]
    [port] = resolve(ports, initContainers=init_containers)
    assert port.number == 2
    own = container(named("http", 3))
    [port] = resolve(ports, initContainers=init_containers, containers=[own])
    assert port.number == 3


def test_c17_a_port_that_no_container_names_is_left_out() -> None:
    ports = [
        {"name": "a", "port": 80, "targetPort": "missing"},
        {"name": "b", "port": 81, "targetPort": 8081},
    ]
    assert [port.name for port in resolve(ports)] == ["b"]


def test_c18_pods_that_resolve_a_name_differently_are_in_different_slices() -> None:
    one = Service.from_object(service(ports=[{"port": 80, "targetPort": "http"}]))
    pods = [
        pod(f"p{number}", f"10.0.0.{number}", spec={"containers": [container(named("http", port))]})
        for number, port in [(1, 8080), (2, 9090), (3, 8080)]
    ]
    found = {
        item.ports[0].number: [endpoint.addresses[0] for endpoint in item.endpoints]
        for item in reconcile(one, map(pod_record, pods), None).slices
    }
    assert found == {8080: ["10.0.0.1", "10.0.0.3"], 9090: ["10.0.0.2"]}


def test_c19_a_headless_service_without_ports_has_endpoints_without_ports() -> None:
    headless = Service.from_object(
        service(clusterIP="None", clusterIPs=["None"], ports=None, ipFamilies=["IPv4"])
    )
    [item] = reconcile(headless, [pod_record(pod("a", "10.0.0.1"))], None).slices
    assert item.ports == ()
    assert len(item.endpoints) == 1


def test_c20_and_c21_application_protocol_and_name() -> None:
    [port] = resolve([{"port": 80, "appProtocol": "h2c"}])
    assert port.to_object() == {"name": "", "protocol": "TCP", "port": 80, "appProtocol": "h2c"}


def test_p1_the_order_of_ports_does_not_matter() -> None:
    one, other = EndpointPort("a", "TCP", 1), EndpointPort("b", "UDP", 2)
    assert port_map_key([one, other]) == port_map_key([other, one])
    assert port_map_key([one]) != port_map_key([EndpointPort("a", "TCP", 1, "h2c")])
