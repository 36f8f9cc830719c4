from typing import Any

import pytest

from kpx.endpointslices import Node, ObjectInvalid, Pod, Service
from objects import node, pod, service


def test_namespaces_and_protocols_have_defaults() -> None:
    assert Pod.from_object({"metadata": {"name": "a"}}).namespace == "default"
    assert Service.from_object({"spec": {"ports": [{"port": 1}]}}).ports[0].protocol == "TCP"


def test_null_is_the_same_as_absent() -> None:
    assert Pod.from_object({"metadata": None, "spec": None, "status": None}).addresses == ()
    assert Service.from_object({"spec": {"selector": None}}).selector is None
    assert Node.from_object(node(zone=None)).zone == ""


@pytest.mark.parametrize(
    ("part", "fields", "message"),
    [
        ("metadata", {"labels": ["a"]}, "`labels` is a list, not a dict"),
        ("metadata", {"labels": {"a": 1}}, "`a` is a int, not a str"),
        ("status", {"podIPs": "10.0.0.1"}, "`podIPs` is a str, not a list"),
        ("status", {"podIPs": ["10.0.0.1"]}, "`podIPs` holds a str, not a dict"),
        ("status", {"phase": 1}, "`phase` is a int, not a str"),
        ("spec", {"containers": [{"ports": [{"containerPort": "80"}]}]}, "`containerPort` is a"),
        ("spec", {"containers": [{"ports": [{"containerPort": True}]}]}, "`containerPort` is a"),
    ],
)
def test_wrong_types_are_named(part: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ObjectInvalid) as failure:
        Pod.from_object({**pod("a", "10.0.0.1"), part: fields})
    assert failure.value.message.startswith(message)


def test_a_service_with_a_wrong_type_is_named() -> None:
    with pytest.raises(ObjectInvalid, match="`publishNotReadyAddresses` is a str, not a bool"):
        Service.from_object(service(publishNotReadyAddresses="yes"))
