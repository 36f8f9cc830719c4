"""The whole controller against the fake API server: conflicts, restarts, and who leads."""

import copy
import json
import random
import time
from dataclasses import replace

import pytest

from controller.harness import SETTINGS, eventually, published, put_pods, running, writes
from fakes.apiserver import ENDPOINT_SLICES, LEASES, NODES, PODS, SERVICES, ApiServer, Refusal
from objects import node, service

TERMINATING = json.dumps(
    {
        "kind": "Status",
        "message": "unable to create: namespace default is being terminated",
        "details": {"causes": [{"reason": "NamespaceTerminating"}]},
    }
).encode()


def test_e6_pods_that_come_and_go_are_followed(server: ApiServer) -> None:
    put_pods(server, 1, 2)
    with running(server):
        eventually(lambda: published(server) == ["p1", "p2"])
        put_pods(server, 3, 4, 5)
        server.remove(PODS, "default", "p1")
        eventually(lambda: published(server) == ["p2", "p3", "p4", "p5"])


def test_e5_a_service_that_changes_is_followed(server: ApiServer) -> None:
    put_pods(server, 1)
    with running(server):
        eventually(lambda: published(server) == ["p1"])
        server.put(SERVICES, service(ports=[{"port": 80, "targetPort": 9090}]))
        eventually(
            lambda: [one["ports"][0]["port"] for one in server.get(ENDPOINT_SLICES)] == [9090]
        )
        assert published(server) == ["p1"]


def test_e1_a_service_that_becomes_an_external_name_loses_its_slices(server: ApiServer) -> None:
    put_pods(server, 1)
    with running(server):
        eventually(lambda: published(server) == ["p1"])
        server.put(SERVICES, service(type="ExternalName"))
        eventually(lambda: server.get(ENDPOINT_SLICES) == [])


def test_e11_a_pod_that_fails_without_ever_having_been_ready_is_removed(server: ApiServer) -> None:
    put_pods(server, 1, ready=False)
    with running(server):
        eventually(lambda: published(server) == ["p1"])
        put_pods(server, 1, ready=False, status={"phase": "Failed"})
        eventually(lambda: published(server) == [])


def test_e12_a_pod_whose_label_changes_moves(server: ApiServer) -> None:
    server.put(SERVICES, service("other", selector={"app": "other"}))
    put_pods(server, 1)
    with running(server):
        eventually(lambda: published(server) == ["p1"])
        put_pods(server, 1, metadata={"labels": {"app": "other"}})
        eventually(lambda: (published(server), published(server, "other")) == ([], ["p1"]))


def test_e17_a_zone_or_a_node_that_comes_late_is_published(server: ApiServer) -> None:
    server.put(NODES, node(zone=None))
    put_pods(server, 1)
    put_pods(server, 2, node_name="late")
    with running(server):
        eventually(lambda: published(server) == ["p1"])
        server.put(NODES, node(zone="a"))
        server.put(NODES, node("late", zone="b"))

        def zones() -> list[str]:
            return [
                endpoint.get("zone", "")
                for one in server.get(ENDPOINT_SLICES)
                for endpoint in one["endpoints"]
            ]

        eventually(lambda: sorted(zones()) == ["a", "b"])


def test_e8_what_somebody_changes_on_a_slice_is_put_right(server: ApiServer) -> None:
    put_pods(server, 1)
    with running(server):
        eventually(lambda: published(server) == ["p1"])
        [made] = server.get(ENDPOINT_SLICES)
        edited = {
            **made,
            "metadata": {**made["metadata"], "labels": {**made["metadata"]["labels"], "mine": "x"}},
        }
        server.put(ENDPOINT_SLICES, edited)
        eventually(
            lambda: all(
                "mine" not in one["metadata"]["labels"] for one in server.get(ENDPOINT_SLICES)
            )
        )
        server.put(ENDPOINT_SLICES, {**server.get(ENDPOINT_SLICES)[0], "endpoints": []})
        eventually(lambda: published(server) == ["p1"])
        server.remove(ENDPOINT_SLICES, "default", made["metadata"]["name"])
        eventually(lambda: published(server) == ["p1"])


def test_e9_e10_a_slice_that_is_given_away_is_made_anew(server: ApiServer) -> None:
    put_pods(server, 1)
    with running(server):
        eventually(lambda: published(server) == ["p1"])
        [made] = copy.deepcopy(server.get(ENDPOINT_SLICES))
        made["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] = "somebody"
        server.put(ENDPOINT_SLICES, made)
        eventually(lambda: len(server.get(ENDPOINT_SLICES)) == 2)
        mine = [
            one
            for one in server.get(ENDPOINT_SLICES)
            if one["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
            == SETTINGS.scope.policy.managed_by
        ]
        assert [len(one["endpoints"]) for one in mine] == [1]


def test_a_restart_writes_nothing(server: ApiServer) -> None:
    put_pods(server, *range(1, 10))
    with running(server):
        eventually(lambda: len(published(server)) == 9)
    before = writes(server)
    server.put(SERVICES, service("marker", selector={"app": "marker"}))
    with running(server):
        # The marker is written last of all, in one sync more.
        eventually(lambda: writes(server) > before)
    assert writes(server) == before + 1
    assert len(published(server)) == 9


def test_p12_a_slice_that_is_gone_already_needs_no_deletion(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    put_pods(server, *range(1, 6))
    with running(server):
        eventually(lambda: len(published(server)) == 5)
        for one in server.get(ENDPOINT_SLICES):
            assert len(one["endpoints"]) in (1, 4)
            server.refusals[ENDPOINT_SLICES].append(Refusal(404, reason="NotFound", verb="delete"))
        server.put(SERVICES, service(type="ExternalName"))
        # Both are asked for once; neither refusal makes the sync fail before the other.
        eventually(lambda: sum(request.verb == "delete" for request in server.requests) == 2)
    assert "cannot delete" not in caplog.text


def test_p11_a_namespace_on_its_way_out_ends_the_sync(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    put_pods(server, 1)
    server.refusals[ENDPOINT_SLICES].append(Refusal(403, body=TERMINATING, verb="create"))
    with running(server):
        eventually(lambda: writes(server) == 1)
        assert published(server) == []
        put_pods(server, 2)
        eventually(lambda: published(server) == ["p1", "p2"])
    assert "tried again" not in caplog.text


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.timeout(180)
def test_whatever_fails_no_endpoint_is_lost_or_doubled_once_it_settles(
    server: ApiServer, seed: int
) -> None:
    """Pods churn, watches are late, writes refused, slices edited, the controller is restarted."""
    chance = random.Random(seed)
    alive: set[int] = set()
    for _ in range(3):
        with running(server):
            for _ in range(25):
                number = chance.randrange(1, 30)
                if number in alive and chance.random() < 0.5:
                    server.remove(PODS, "default", f"p{number}")
                    alive.discard(number)
                else:
                    put_pods(server, number, ready=chance.random() < 0.7)
                    alive.add(number)
                slices = server.get(ENDPOINT_SLICES)
                match chance.randrange(8):
                    case 0 if slices:
                        # Somebody else writes, so that our version is no longer the last.
                        one = chance.choice(slices)
                        server.put(ENDPOINT_SLICES, {**one, "endpoints": one["endpoints"][:1]})
                    case 1 if slices:
                        gone = chance.choice(slices)["metadata"]["name"]
                        server.remove(ENDPOINT_SLICES, "default", gone)
                    case 2:
                        refusal = chance.choice(
                            [
                                Refusal(500, verb="create"),
                                Refusal(409, reason="Conflict", verb="update"),
                                Refusal(503, verb="delete"),
                            ]
                        )
                        server.refusals[ENDPOINT_SLICES].append(refusal)
                    case 3:
                        time.sleep(0.05)
                    case 4:
                        server.hold(chance.choice([ENDPOINT_SLICES, PODS, SERVICES]))
                    case 5:
                        for path in (ENDPOINT_SLICES, PODS, SERVICES):
                            server.release(path)
    expected = sorted(f"p{number}" for number in alive)
    server.refusals.clear()
    for path in (ENDPOINT_SLICES, PODS, SERVICES):
        server.release(path)
    with running(server):
        eventually(lambda: published(server) == expected)
        # It stays so: a marker that is written shows that everything before it was looked at.
        server.put(SERVICES, service("marker", selector={"app": "marker"}))
        eventually(
            lambda: any(
                one["metadata"]["labels"]["kubernetes.io/service-name"] == "marker"
                for one in server.get(ENDPOINT_SLICES)
            )
        )
        assert published(server) == expected


def test_l13_only_one_of_two_writes(server: ApiServer) -> None:
    put_pods(server, 1)
    with running(server), running(server):
        eventually(lambda: published(server) == ["p1"])
        put_pods(server, 2)
        eventually(lambda: published(server) == ["p1", "p2"])
    assert len(server.get(ENDPOINT_SLICES)) == 1
    assert writes(server) == 2


def test_l13_who_loses_the_lease_writes_no_more_before_it_runs_out(server: ApiServer) -> None:
    put_pods(server, 1)
    settings = replace(SETTINGS, lease_duration=6.0, renew_deadline=2.0)
    with running(server, settings):
        eventually(lambda: published(server) == ["p1"])
        lost_at = time.monotonic()
        server.refusals[LEASES].extend(Refusal(500) for _ in range(1000))
        last_renewal = server.get(LEASES)[0]["spec"]["renewTime"]
        written = writes(server)
        latest = lost_at
        # Changes go on for as long as the lease would; the last write must come well before that.
        number = 2
        while time.monotonic() < lost_at + 5.5:
            put_pods(server, number % 200 + 1)
            number += 1
            if writes(server) > written:
                written, latest = writes(server), time.monotonic()
            time.sleep(0.05)
        assert latest - lost_at < 4.5
        assert server.get(LEASES)[0]["spec"]["renewTime"] == last_renewal
        assert len(published(server)) < number - 2
        server.refusals[LEASES].clear()
        eventually(lambda: len(published(server)) == number - 1)
