"""The rules of the EndpointSlice controller, one after another."""

from dataclasses import dataclass
from typing import Any

import pytest

from kpx._core import Pod
from kpx.endpointslices import Node, Service, named, reconcile
from objects import node, pod, pod_store, service

Object = dict[str, Any]

DUAL_STACK = ["IPv4", "IPv6"]


@dataclass(frozen=True)
class Computed:
    slices: list[Object]
    without_node: list[Pod]


def compute(service_object: Object, *pods: Object, nodes: list[Object] | None = None) -> Computed:
    converted = Service.from_object(service_object)
    known = {item["metadata"]["name"]: Node.from_object(item) for item in nodes or []}
    selected = pod_store(*pods).select(converted.namespace, converted.selector)
    found = reconcile(converted, selected, None if nodes is None else known)
    return Computed([one.to_object() for one in named(found.slices)], found.without_node)


def endpoints(service_object: Object, *pods: Object, **options: Any) -> list[Object]:
    desired = compute(service_object, *pods, **options)
    return [endpoint for item in desired.slices for endpoint in item["endpoints"]]


def test_a_slice_has_everything_it_needs() -> None:
    desired = compute(service(), pod("a", "10.0.0.1"), nodes=[node()])
    assert desired.slices == [
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "namespace": "default",
                "name": "web-ipv4-0",
                "labels": {
                    "kubernetes.io/service-name": "web",
                    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.kpx.dev",
                },
            },
            "addressType": "IPv4",
            "ports": [{"name": "", "protocol": "TCP", "port": 8080}],
            "endpoints": [
                {
                    "addresses": ["10.0.0.1"],
                    "conditions": {"ready": True, "serving": True, "terminating": False},
                    "targetRef": {
                        "kind": "Pod",
                        "namespace": "default",
                        "name": "a",
                        "uid": "uid-a",
                    },
                    "nodeName": "node",
                    "zone": "a",
                }
            ],
        }
    ]


class TestWhichServices:
    def test_external_name_has_none(self) -> None:
        assert compute(service(type="ExternalName"), pod("a", "10.0.0.1")).slices == []

    def test_no_selector_has_none(self) -> None:
        assert compute(service(selector=None), pod("a", "10.0.0.1")).slices == []

    def test_an_empty_selector_takes_every_pod_of_the_namespace(self) -> None:
        other = pod("b", "10.0.0.2", metadata={"namespace": "other"})
        unlabelled = pod("c", "10.0.0.3", metadata={"labels": None})
        published = endpoints(service(selector={}), pod("a", "10.0.0.1"), other, unlabelled)
        assert [endpoint["addresses"] for endpoint in published] == [["10.0.0.1"], ["10.0.0.3"]]

    def test_a_selector_takes_pods_with_all_its_labels_in_its_namespace(self) -> None:
        both = service(selector={"app": "web", "tier": "front"})
        labels = {"app": "web", "tier": "front", "more": "x"}
        published = endpoints(
            both,
            pod("a", "10.0.0.1"),
            pod("b", "10.0.0.2", metadata={"labels": labels}),
            pod("c", "10.0.0.3", metadata={"labels": labels, "namespace": "other"}),
        )
        assert [endpoint["addresses"] for endpoint in published] == [["10.0.0.2"]]


class TestWhichPods:
    @pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
    def test_c1_terminal_pods_are_out_whatever_the_service_says(self, phase: str) -> None:
        done = pod("a", "10.0.0.1", status={"phase": phase})
        assert endpoints(service(publishNotReadyAddresses=True), done) == []

    @pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown", ""])
    def test_c1_other_phases_are_in(self, phase: str) -> None:
        assert len(endpoints(service(), pod("a", "10.0.0.1", status={"phase": phase}))) == 1

    def test_c2_pods_without_an_address_are_out(self) -> None:
        assert endpoints(service(), pod("a"), pod("b", status={"podIPs": None})) == []

    def test_c2_pod_ip_alone_is_an_address(self) -> None:
        alone = pod("a", status={"podIP": "10.0.0.1", "podIPs": None})
        [endpoint] = endpoints(service(), alone)
        assert endpoint["addresses"] == ["10.0.0.1"]

    @pytest.mark.parametrize(
        ("ready", "deleted", "publish", "conditions"),
        [
            (True, False, False, (True, True, False)),
            (False, False, False, (False, False, False)),
            (True, True, False, (False, True, True)),
            (False, True, False, (False, False, True)),
            (True, False, True, (True, True, False)),
            (False, False, True, (True, False, False)),
            (True, True, True, (True, True, True)),
            (False, True, True, (True, False, True)),
        ],
    )
    def test_c3_to_c8_conditions(
        self, ready: bool, deleted: bool, publish: bool, conditions: tuple[bool, bool, bool]
    ) -> None:
        timestamp = "2026-01-01T00:00:00Z" if deleted else None
        one = pod("a", "10.0.0.1", ready=ready, metadata={"deletionTimestamp": timestamp})
        [endpoint] = endpoints(service(publishNotReadyAddresses=publish), one)
        names = ("ready", "serving", "terminating")
        assert endpoint["conditions"] == dict(zip(names, conditions, strict=True))

    def test_c4_a_pod_without_conditions_is_not_serving(self) -> None:
        [endpoint] = endpoints(service(), pod("a", "10.0.0.1", status={"conditions": None}))
        assert endpoint["conditions"]["serving"] is False

    def test_c9_the_tolerate_annotation_means_nothing(self) -> None:
        tolerating = service()
        tolerating["metadata"]["annotations"] = {
            "service.alpha.kubernetes.io/tolerate-unready-endpoints": "true"
        }
        [endpoint] = endpoints(tolerating, pod("a", "10.0.0.1", ready=False))
        assert endpoint["conditions"]["ready"] is False

    def test_c15_a_pod_on_an_unknown_node_is_left_out_and_the_others_stay(self) -> None:
        lost = pod("b", "10.0.0.2", node_name="gone")
        desired = compute(service(), pod("a", "10.0.0.1"), lost, nodes=[node()])
        assert [item["addresses"] for item in desired.slices[0]["endpoints"]] == [["10.0.0.1"]]
        assert [item.name for item in desired.without_node] == ["b"]

    def test_c15_unless_the_service_publishes_what_is_not_ready(self) -> None:
        lost = pod("b", "10.0.0.2", node_name="gone")
        desired = compute(service(publishNotReadyAddresses=True), lost, nodes=[node()])
        [endpoint] = desired.slices[0]["endpoints"]
        assert "zone" not in endpoint
        assert desired.without_node == []

    def test_without_any_node_known_pods_are_published_without_a_zone(self) -> None:
        [endpoint] = endpoints(service(), pod("a", "10.0.0.1"), nodes=None)
        assert endpoint["nodeName"] == "node"
        assert "zone" not in endpoint


class TestEndpoint:
    @pytest.mark.parametrize(
        ("written", "canonical"),
        [
            ("010.000.0.01", "10.0.0.1"),
            ("10.0.0.0", "10.0.0.0"),
        ],
    )
    def test_c10_addresses_are_canonical(self, written: str, canonical: str) -> None:
        [endpoint] = endpoints(service(), pod("a", written))
        assert endpoint["addresses"] == [canonical]

    def test_c10_ipv6_addresses_are_canonical(self) -> None:
        [endpoint] = endpoints(service(ipFamilies=["IPv6"]), pod("a", "FD00:0:0::0001"))
        assert endpoint["addresses"] == ["fd00::1"]

    def test_c10_what_is_no_address_is_left_out(self) -> None:
        assert endpoints(service(), pod("a", "10.0.0", "300.0.0.1", "x")) == []

    @pytest.mark.parametrize(
        ("hostname", "subdomain", "published"),
        [("h", "web", "h"), ("h", "other", None), ("h", "", None), ("", "web", None)],
    )
    def test_c11_hostname(self, hostname: str, subdomain: str, published: str | None) -> None:
        one = pod("a", "10.0.0.1", spec={"hostname": hostname, "subdomain": subdomain})
        [endpoint] = endpoints(service(), one)
        assert endpoint.get("hostname") == published

    def test_c12_no_node_name_without_a_node(self) -> None:
        [endpoint] = endpoints(service(), pod("a", "10.0.0.1", node_name=""), nodes=[node()])
        assert "nodeName" not in endpoint

    def test_c13_no_zone_without_a_label(self) -> None:
        [endpoint] = endpoints(service(), pod("a", "10.0.0.1"), nodes=[node(zone=None)])
        assert "zone" not in endpoint
        assert "deprecatedTopology" not in endpoint


class TestFamilies:
    def test_c22_ip_families_decide(self) -> None:
        desired = compute(service(ipFamilies=["IPv6", "IPv4"]), pod("a", "10.0.0.1", "fd00::1"))
        found = {item["addressType"]: item["endpoints"][0]["addresses"] for item in desired.slices}
        assert found == {"IPv4": ["10.0.0.1"], "IPv6": ["fd00::1"]}

    @pytest.mark.parametrize(
        ("spec", "families"),
        [
            ({"clusterIP": "10.96.0.1", "clusterIPs": None}, ["IPv4"]),
            ({"clusterIP": "fd00::1", "clusterIPs": None}, ["IPv6"]),
            ({"clusterIP": "fd00::1", "clusterIPs": ["fd00::1", "10.96.0.1"]}, ["IPv6", "IPv4"]),
            ({"clusterIP": "None", "clusterIPs": None}, DUAL_STACK),
            ({"clusterIP": "None", "clusterIPs": ["None"]}, DUAL_STACK),
            ({"clusterIP": "", "clusterIPs": None}, DUAL_STACK),
        ],
    )
    def test_c22_without_ip_families(self, spec: Object, families: list[str]) -> None:
        desired = compute(service(ipFamilies=None, **spec))
        assert [item["addressType"] for item in desired.slices] == families

    def test_c24_a_family_without_endpoints_has_a_slice_that_says_so(self) -> None:
        desired = compute(service(ipFamilies=DUAL_STACK), pod("a", "10.0.0.1"))
        [empty] = [item for item in desired.slices if item["addressType"] == "IPv6"]
        assert (empty["endpoints"], empty["ports"]) == ([], [])


class TestPacking:
    def test_p2_no_more_than_100_endpoints_share_a_slice(self) -> None:
        pods = [pod(f"p{number}", f"10.0.{number // 250}.{number % 250}") for number in range(201)]
        desired = compute(service(), *pods)
        assert [len(item["endpoints"]) for item in desired.slices] == [100, 100, 1]
        assert len({item["metadata"]["name"] for item in desired.slices}) == 3

    def test_p14_pods_with_one_address_stay_two_endpoints(self) -> None:
        assert len(endpoints(service(), pod("a", "10.0.0.1"), pod("b", "10.0.0.1"))) == 2


class TestLabels:
    def test_l3_a_headless_service_marks_its_slices(self) -> None:
        headless = service(clusterIP="None", clusterIPs=["None"])
        [item] = compute(headless).slices
        assert item["metadata"]["labels"]["service.kubernetes.io/headless"] == ""

    def test_l4_labels_of_the_service_but_never_the_reserved_ones(self) -> None:
        labelled = service()
        labelled["metadata"]["labels"] = {
            "team": "a",
            "kubernetes.io/service-name": "other",
            "endpointslice.kubernetes.io/managed-by": "somebody",
            "service.kubernetes.io/headless": "",
        }
        [item] = compute(labelled).slices
        assert item["metadata"]["labels"] == {
            "team": "a",
            "kubernetes.io/service-name": "web",
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.kpx.dev",
        }
