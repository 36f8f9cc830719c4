"""Limits of Endpoints and of mirroring, which no scenario file would show well."""

from typing import Any

from kpx._core import Pod
from kpx.endpointslices import (
    Endpoints,
    Service,
    legacy_endpoints,
    mirror,
    mirroring_managed_by,
)
from objects import pod, pod_record, service

Object = dict[str, Any]


def pods(count: int, ready: bool, network: int) -> list[Pod]:
    return [
        pod_record(pod(f"p{network}-{one}", f"10.{network}.{one // 250}.{one % 250}", ready=ready))
        for one in range(count)
    ]


def sizes(subsets: list[Object]) -> list[tuple[int, int]]:
    return [
        (len(one.get("addresses", [])), len(one.get("notReadyAddresses", []))) for one in subsets
    ]


class TestCapacity:
    def test_n5_ready_addresses_are_kept_before_others(self) -> None:
        made = legacy_endpoints(
            Service.from_object(service()), [*pods(900, True, 0), *pods(300, False, 1)]
        )
        assert sizes(made["subsets"]) == [(900, 100)]
        annotations = made["metadata"]["annotations"]
        assert annotations == {"endpoints.kubernetes.io/over-capacity": "truncated"}

    def test_n5_too_many_ready_addresses_leave_no_others(self) -> None:
        made = legacy_endpoints(
            Service.from_object(service()), [*pods(1200, True, 0), *pods(300, False, 1)]
        )
        assert sizes(made["subsets"]) == [(1000, 0)]

    def test_n5_each_subset_keeps_its_part(self) -> None:
        web = Service.from_object(service(ports=[{"port": 80, "targetPort": "http"}]))

        def listening(port: int, count: int) -> list[Pod]:
            containers = [{"ports": [{"name": "http", "containerPort": port}]}]
            return [
                pod_record(
                    pod(
                        f"p{port}-{one}",
                        f"10.{port}.{one // 250}.{one % 250}",
                        spec={"containers": containers},
                    )
                )
                for one in range(count)
            ]

        made = legacy_endpoints(web, [*listening(80, 1500), *listening(81, 500)])
        assert sizes(made["subsets"]) == [(750, 0), (250, 0)]

    def test_n5_within_the_limit_nothing_is_said(self) -> None:
        made = legacy_endpoints(Service.from_object(service()), pods(1000, True, 0))
        assert sizes(made["subsets"]) == [(1000, 0)]
        assert "annotations" not in made["metadata"]

    def test_n3_an_address_that_is_also_not_ready_is_not_ready(self) -> None:
        twice = [
            pod_record(pod("a", "10.0.0.1", ready=ready, metadata={"uid": "same"}))
            for ready in (True, False, True)
        ]
        made = legacy_endpoints(Service.from_object(service()), twice)
        assert sizes(made["subsets"]) == [(0, 1)]


class TestMirroring:
    def test_m3_no_more_than_1000_addresses_of_a_subset_ready_ones_first(self) -> None:
        endpoints = Endpoints.from_object(
            {
                "metadata": {"namespace": "default", "name": "web"},
                "subsets": [
                    {
                        "notReadyAddresses": [{"ip": f"10.1.0.{one}"} for one in range(100)],
                        "addresses": [
                            {"ip": f"10.0.{one // 250}.{one % 250}"} for one in range(950)
                        ],
                        "ports": [{"port": 80}],
                    }
                ],
            }
        )
        found = mirror(endpoints, Service.from_object(service(selector=None)), [], "mine")
        [one] = found.slices
        assert [endpoint.ready for endpoint in one.endpoints] == [True] * 950 + [False] * 50
        [left_out] = found.left_out
        assert left_out.message == "subsets[0]: 50 addresses too many to mirror"
        assert (left_out.reason, left_out.addresses) == ("TooManyAddressesToMirror", 50)

    def test_l2_the_label_of_mirrored_slices(self) -> None:
        label = mirroring_managed_by("endpointslice-controller.k8s.io")
        assert label == "endpointslicemirroring-controller.k8s.io"
        assert mirroring_managed_by("mine") == "mine-mirroring"
