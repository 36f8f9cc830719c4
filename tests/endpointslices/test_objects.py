import json
from typing import Any

import pytest

from kpx._core import PodStore
from kpx.endpointslices import Node, ObjectInvalid, Service
from objects import node, pod, pod_record, service


def test_namespaces_and_protocols_have_defaults() -> None:
    assert pod_record({"kind": "Pod", "metadata": {"name": "a"}}).namespace == "default"
    assert Service.from_object({"spec": {"ports": [{"port": 1}]}}).ports[0].protocol == "TCP"


def test_null_is_the_same_as_absent() -> None:
    empty = {"kind": "Pod", "metadata": {"name": "a"}, "spec": None, "status": None}
    assert not pod_record(empty).has_addresses
    assert Service.from_object({"spec": {"selector": None}}).selector is None
    assert Node.from_object(node(zone=None)).zone == ""


@pytest.mark.parametrize(
    ("part", "fields", "reason"),
    [
        ("metadata", {"name": "a", "labels": ["a"]}, "metadata.labels: invalid type: sequence"),
        ("metadata", {"name": "a", "labels": {"a": 1}}, "metadata.labels.a: invalid type: integer"),
        ("status", {"podIPs": "10.0.0.1"}, "status.podIPs: invalid type: string"),
        ("status", {"podIPs": ["10.0.0.1"]}, "status.podIPs[0]: invalid type: string"),
        ("status", {"phase": 1}, "status.phase: invalid type: integer"),
        (
            "spec",
            {"containers": [{"ports": [{"containerPort": "80"}]}]},
            "spec.containers[0].ports[0].containerPort: invalid type: string",
        ),
        (
            "spec",
            {"containers": [{"ports": [{"containerPort": 70000}]}]},
            "spec.containers[0].ports[0].containerPort: invalid value",
        ),
    ],
)
def test_a_pod_with_a_wrong_type_is_named(part: str, fields: dict[str, Any], reason: str) -> None:
    shown = {**pod("a", "10.0.0.1"), part: fields}
    _, outcome = PodStore().feed(json.dumps(shown).encode())
    [(name, found)] = outcome.rejections
    assert name == "default/a"
    assert found.startswith(reason)


def test_a_service_with_a_wrong_type_is_named() -> None:
    with pytest.raises(ObjectInvalid, match="`publishNotReadyAddresses` is a str, not a bool"):
        Service.from_object(service(publishNotReadyAddresses="yes"))
    with pytest.raises(ObjectInvalid, match="`labels` is a list, not a dict"):
        Service.from_object({"metadata": {"labels": []}})
    with pytest.raises(ObjectInvalid, match="`a` is a int, not a str"):
        Service.from_object(service(selector={"a": 1}))
