"""What is written when slices exist already; rules as in upstream's reconciler."""

from dataclasses import replace
from typing import Any

import pytest

from endpointslices.cluster import Cluster, service_with_uid
from objects import node, pod

Object = dict[str, Any]

DUAL_STACK = ["IPv4", "IPv6"]


def pods(*numbers: int, **parts: Any) -> list[Object]:
    return [
        pod(f"p{number}", f"10.0.{number // 250}.{number % 250}", **parts) for number in numbers
    ]


def counts(found: Any) -> tuple[int, int, int]:
    return len(found.plan.create), len(found.plan.update), len(found.plan.delete)


class TestWhichServices:
    @pytest.mark.parametrize("spec", [{"type": "ExternalName"}, {"selector": None}])
    def test_e1_e2_slices_of_an_earlier_life_are_removed(self, spec: Object) -> None:
        cluster = Cluster()
        cluster.reconcile(service_with_uid(), pods(1))
        assert counts(cluster.reconcile(service_with_uid(**spec), pods(1))) == (0, 0, 1)
        assert cluster.slices == {}

    def test_p10_nothing_is_created_for_a_service_on_its_way_out(self) -> None:
        leaving = service_with_uid()
        leaving["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z"
        assert counts(Cluster().reconcile(leaving, pods(1))) == (0, 0, 0)

    def test_l9_slices_on_their_way_out_are_not_counted_on(self) -> None:
        cluster = Cluster()
        cluster.reconcile(service_with_uid(), pods(1))
        cluster.slices = {
            name: replace(one, is_deleted=True) for name, one in cluster.slices.items()
        }
        assert counts(cluster.reconcile(service_with_uid(), pods(1))) == (1, 0, 0)


class TestPacking:
    def test_p3_an_endpoint_stays_where_it_is(self) -> None:
        cluster = Cluster()
        cluster.reconcile(service_with_uid(), pods(1, 2, 3, 4), max_endpoints_per_slice=2)
        before = {name: one.endpoints for name, one in cluster.slices.items()}
        found = cluster.reconcile(service_with_uid(), pods(2, 3, 4), max_endpoints_per_slice=2)
        assert counts(found) == (0, 1, 0)
        assert cluster.slices["web-1"].endpoints == before["web-1"][1:]
        assert cluster.slices["web-2"].endpoints == before["web-2"]

    def test_p3_a_slice_without_endpoints_goes(self) -> None:
        cluster = Cluster()
        cluster.reconcile(service_with_uid(), pods(1, 2, 3), max_endpoints_per_slice=2)
        found = cluster.reconcile(service_with_uid(), pods(1, 2), max_endpoints_per_slice=2)
        assert counts(found) == (0, 0, 1)

    def test_p4_new_endpoints_go_into_slices_that_are_written_anyway_the_fullest_first(
        self,
    ) -> None:
        cluster = Cluster()
        cluster.reconcile(service_with_uid(), pods(*range(12)), max_endpoints_per_slice=6)
        # One goes from the first slice and two from the second; two new ones are to be placed.
        rest = pods(*range(1, 6), *range(8, 12), 20, 21)
        found = cluster.reconcile(service_with_uid(), rest, max_endpoints_per_slice=6)
        assert counts(found) == (0, 2, 0)
        assert cluster.sizes() == [6, 5]

    def test_p5_what_is_left_goes_into_the_one_slice_that_is_then_fullest(self) -> None:
        cluster = Cluster()
        some = pods(*range(10))
        cluster.reconcile(service_with_uid(), some, max_endpoints_per_slice=5)
        some = [*some[:2], *some[5:9]]
        cluster.reconcile(service_with_uid(), some, max_endpoints_per_slice=5)
        assert cluster.sizes() == [2, 4]
        found = cluster.reconcile(service_with_uid(), [*some, *pods(20)], max_endpoints_per_slice=5)
        assert counts(found) == (0, 1, 0)
        assert cluster.sizes() == [2, 5]

    def test_p6_what_fits_in_no_single_slice_gets_a_new_one(self) -> None:
        cluster = Cluster()
        cluster.reconcile(service_with_uid(), pods(*range(20)), max_endpoints_per_slice=10)
        some = pods(*range(5), *range(10, 15))
        cluster.reconcile(service_with_uid(), some, max_endpoints_per_slice=10)
        assert cluster.sizes() == [5, 5]
        found = cluster.reconcile(
            service_with_uid(), [*some, *pods(*range(30, 38))], max_endpoints_per_slice=10
        )
        assert counts(found) == (1, 0, 0)
        assert cluster.sizes() == [5, 5, 8]

    def test_p2_a_lower_limit_leaves_fuller_slices_as_they_are(self) -> None:
        cluster = Cluster()
        cluster.reconcile(service_with_uid(), pods(*range(10)), max_endpoints_per_slice=10)
        found = cluster.reconcile(service_with_uid(), pods(*range(10)), max_endpoints_per_slice=5)
        assert counts(found) == (0, 0, 0)

    def test_p7_a_place_is_kept_and_left_alone(self) -> None:
        cluster = Cluster()
        assert counts(cluster.reconcile(service_with_uid(), [])) == (1, 0, 0)
        assert counts(cluster.reconcile(service_with_uid(), [])) == (0, 0, 0)
        [placeholder] = cluster.slices.values()
        assert (placeholder.ports, placeholder.endpoints) == ((), ())

    def test_p8_the_last_endpoint_leaves_a_recycled_slice(self) -> None:
        cluster = Cluster()
        cluster.reconcile(service_with_uid(), pods(1))
        assert counts(cluster.reconcile(service_with_uid(), [])) == (0, 1, 0)
        assert counts(cluster.reconcile(service_with_uid(), pods(2))) == (0, 1, 0)
        assert list(cluster.slices) == ["web-1"]

    def test_p8_other_ports_recycle_slices(self) -> None:
        cluster = Cluster()
        cluster.reconcile(service_with_uid(), pods(1))
        moved = service_with_uid(ports=[{"port": 80, "targetPort": 9090}])
        assert counts(cluster.reconcile(moved, pods(1))) == (0, 1, 0)
        [one] = cluster.slices.values()
        assert (one.name, one.ports[0].number) == ("web-1", 9090)

    def test_p13_slices_of_an_earlier_service_of_that_name_go_and_are_not_reused(self) -> None:
        cluster = Cluster()
        cluster.reconcile(service_with_uid(), pods(1))
        again = service_with_uid()
        again["metadata"]["uid"] = "uid-again"
        assert counts(cluster.reconcile(again, pods(1))) == (1, 0, 1)
        assert list(cluster.slices) == ["web-2"]
        assert cluster.slices["web-2"].owner_uid == "uid-again"

    def test_c23_slices_of_a_family_the_service_lost_go(self) -> None:
        cluster = Cluster()
        both = [pod("a", "10.0.0.1", "fd00::1")]
        cluster.reconcile(service_with_uid(ipFamilies=DUAL_STACK), both)
        assert counts(cluster.reconcile(service_with_uid(ipFamilies=["IPv4"]), both)) == (0, 0, 1)
        assert {one.address_type for one in cluster.slices.values()} == {"IPv4"}

    def test_p16_p17_name_and_owner(self) -> None:
        [created] = Cluster().reconcile(service_with_uid(), pods(1)).plan.create
        assert created.to_object()["metadata"] == {
            "namespace": "default",
            "generateName": "web-",
            "labels": created.labels,
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "name": "web",
                    "uid": "uid-web",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        }


class TestChanges:
    @pytest.mark.parametrize(
        "change",
        [
            {"ready": False},
            {"node_name": "other"},
            {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}},
            {"metadata": {"uid": "another"}},
        ],
    )
    def test_p15_what_is_published_of_a_pod_is_written(self, change: Object) -> None:
        cluster = Cluster()
        cluster.reconcile(service_with_uid(), pods(1))
        assert counts(cluster.reconcile(service_with_uid(), pods(1, **change))) == (0, 1, 0)

    def test_a_zone_that_comes_late_is_written(self) -> None:
        cluster = Cluster()
        cluster.reconcile(service_with_uid(), pods(1), [node(zone=None)])
        assert counts(cluster.reconcile(service_with_uid(), pods(1), [node()])) == (0, 1, 0)
        assert cluster.endpoints()[0].zone == "a"

    def test_l5_another_label_of_the_service_is_written(self) -> None:
        cluster = Cluster()
        cluster.reconcile(service_with_uid(), pods(1))
        labelled = service_with_uid()
        labelled["metadata"]["labels"] = {"team": "a"}
        assert counts(cluster.reconcile(labelled, pods(1))) == (0, 1, 0)

    def test_l5_the_headless_flag_alone_is_written(self) -> None:
        cluster = Cluster()
        cluster.reconcile(service_with_uid(), pods(1))
        headless = service_with_uid(clusterIP="None", clusterIPs=["None"])
        assert counts(cluster.reconcile(headless, pods(1))) == (0, 1, 0)

    def test_e8_labels_that_somebody_edited_are_put_right(self) -> None:
        cluster = Cluster()
        cluster.reconcile(service_with_uid(), pods(1))
        [old] = cluster.slices.values()
        cluster.slices[old.name] = replace(old, labels={**old.labels, "mine": "x"})
        assert counts(cluster.reconcile(service_with_uid(), pods(1))) == (0, 1, 0)
        assert cluster.slices[old.name].labels == old.labels

    def test_l7_annotations_of_somebody_else_stay(self) -> None:
        cluster = Cluster()
        cluster.reconcile(service_with_uid(), pods(1))
        [old] = cluster.slices.values()
        cluster.slices[old.name] = replace(old, annotations={"mine": "x"})
        assert counts(cluster.reconcile(service_with_uid(), pods(1))) == (0, 0, 0)
        cluster.reconcile(service_with_uid(), pods(2))
        assert cluster.slices[old.name].annotations == {"mine": "x"}

    def test_c15_a_group_whose_only_pod_has_no_node_is_emptied(self) -> None:
        cluster = Cluster()
        cluster.reconcile(service_with_uid(), pods(1), [node()])
        found = cluster.reconcile(service_with_uid(), pods(1), [node("other")])
        assert [one.name for one in found.without_node] == ["p1"]
        assert cluster.endpoints() == []


class TestHints:
    @pytest.mark.parametrize(
        ("distribution", "hints"),
        [
            ("PreferClose", (("a",), ())),
            ("PreferSameZone", (("a",), ())),
            ("PreferSameNode", (("a",), ("node",))),
            ("Whatever", ((), ())),
            (None, ((), ())),
        ],
    )
    def test_h3_h4_h5_traffic_distribution(self, distribution: str | None, hints: Any) -> None:
        cluster = Cluster()
        chosen = service_with_uid(trafficDistribution=distribution)
        cluster.reconcile(chosen, pods(1), [node()])
        assert [endpoint.hints for endpoint in cluster.endpoints()] == [hints]

    def test_h3_h5_a_change_of_the_distribution_alone_is_written(self) -> None:
        cluster = Cluster()
        close = service_with_uid(trafficDistribution="PreferClose")
        cluster.reconcile(service_with_uid(), pods(1), [node()])
        assert counts(cluster.reconcile(close, pods(1), [node()])) == (0, 1, 0)
        assert cluster.endpoints()[0].zone_hints == ("a",)
        assert counts(cluster.reconcile(service_with_uid(), pods(1), [node()])) == (0, 1, 0)
        assert cluster.endpoints()[0].zone_hints == ()

    def test_h6_endpoints_that_are_not_ready_have_none_and_force_no_write(self) -> None:
        cluster = Cluster()
        close = service_with_uid(trafficDistribution="PreferClose")
        cluster.reconcile(close, pods(1, ready=False), [node()])
        [old] = cluster.slices.values()
        [endpoint] = old.endpoints
        assert endpoint.hints == ((), ())
        hinted = replace(old, endpoints=(replace(endpoint, zone_hints=("b",)),))
        cluster.slices[old.name] = hinted
        assert counts(cluster.reconcile(close, pods(1, ready=False), [node()])) == (0, 0, 0)
