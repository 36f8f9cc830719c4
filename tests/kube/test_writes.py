"""Writes, elections and Events, against the fake API server."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes.client import Configuration

from fakes.apiserver import EVENTS, LEASES, SERVICES, ApiServer, Refusal
from kpx.errors import ClusterUnreadable
from kpx.kube import (
    AlreadyExists,
    Client,
    Conflict,
    EventRecorder,
    Forbidden,
    LeaderElection,
    NotFound,
    ObjectReference,
    RateLimit,
)
from kpx.kube.resources import SERVICES as SERVICE_RESOURCE
from objects import service


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        yield running


@pytest.fixture
def client(server: ApiServer) -> Client:
    return Client(Configuration(host=server.url))


def eventually(condition: Callable[[], Any], within: float = 20.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


class TestWrites:
    def test_an_object_lives_its_life(self, server: ApiServer, client: Client) -> None:
        where = (SERVICE_RESOURCE, "default", "web")
        made = json.loads(client.create(*where, service("web")))
        assert made["metadata"]["generation"] == 1
        made["spec"]["clusterIP"] = "10.96.0.99"
        changed = json.loads(client.update(*where, made))
        assert changed["metadata"]["generation"] == 2
        patch = {"metadata": {"labels": {"a": "b"}}}
        patched = json.loads(client.patch(*where, patch))
        assert patched["metadata"]["generation"] == 2
        assert json.loads(client.get(*where)) == patched
        client.delete(*where)
        assert server.get(SERVICES) == []

    def test_errors_are_typed(self, server: ApiServer, client: Client) -> None:
        where = (SERVICE_RESOURCE, "default", "web")
        with pytest.raises(NotFound):
            client.update(*where, service("web"))
        made = json.loads(client.create(*where, service("web")))
        with pytest.raises(AlreadyExists):
            client.create(*where, service("web"))
        client.patch(*where, {"spec": {"type": "NodePort"}})
        with pytest.raises(Conflict, match="cannot update services: it changed meanwhile"):
            client.update(*where, made)
        with pytest.raises(Conflict):
            client.delete(*where, {"preconditions": {"uid": "another"}})
        server.refusals[SERVICES].append(Refusal(403, "no", verb="delete"))
        with pytest.raises(Forbidden) as failure:
            client.delete(*where)
        assert failure.value.hint == "grant the verb `delete` on `services`"
        server.refusals[SERVICES].append(Refusal(500, "broken"))
        with pytest.raises(ClusterUnreadable, match="broken"):
            client.delete(*where)

    def test_a_name_cannot_break_out_of_its_path(self, client: Client) -> None:
        with pytest.raises(NotFound):
            client.get(SERVICE_RESOURCE, "default", "../../nodes/x?y#z")


def test_a_rate_limit_lets_a_burst_pass_and_then_so_many_a_second() -> None:
    now, waits = 0.0, list[float]()
    limit = RateLimit(10, 3, clock=lambda: now, sleep=waits.append)
    for _ in range(5):
        limit.take()
    assert waits == pytest.approx([0.1, 0.2])
    assert not limit.try_take()
    now = 0.31
    assert limit.try_take()
    now = 100.0
    assert [limit.try_take() for _ in range(4)] == [True, True, True, False]


class Replica:
    """One that wants to lead."""

    def __init__(self, client: Client, identity: str, **options: float) -> None:
        timing: dict[str, Any] = {
            "lease_duration": 2.0,
            "renew_deadline": 1.0,
            "retry_period": 0.1,
            **options,
        }
        self.election = LeaderElection(client, "kube-system", "kpx", identity, **timing)
        self.stop = threading.Event()
        self.led: list[tuple[float, float]] = []
        self.thread = threading.Thread(target=self.election.run, args=(self.stop, self._lead))
        self.thread.start()

    def _lead(self, lost: threading.Event) -> None:
        began = time.monotonic()
        lost.wait()
        self.led.append((began, time.monotonic()))

    def end(self) -> None:
        self.stop.set()
        self.thread.join()


def lease(server: ApiServer) -> dict[str, Any]:
    [found] = server.get(LEASES)
    return dict(found["spec"])


class TestElection:
    def test_one_of_two_leads_and_the_other_follows_at_once_on_a_clean_stop(
        self, server: ApiServer, client: Client
    ) -> None:
        one = Replica(client, "one", lease_duration=60.0)
        eventually(one.election.holds.is_set)
        two = Replica(client, "two", lease_duration=60.0)
        try:
            asked = len(server.requests)
            eventually(lambda: len(server.requests) > asked + 10)
            assert not two.election.holds.is_set()
            assert lease(server)["holderIdentity"] == "one"
            one.end()
            eventually(two.election.holds.is_set)
            assert lease(server)["leaseTransitions"] == 1
        finally:
            one.end()
            two.end()
        assert lease(server)["holderIdentity"] == ""
        assert one.led[0][1] <= two.led[0][0]

    def test_a_lease_that_is_not_renewed_is_taken_after_its_duration(
        self, server: ApiServer, client: Client
    ) -> None:
        spec = {"holderIdentity": "gone", "leaseDurationSeconds": 1, "leaseTransitions": 4}
        metadata = {"namespace": "kube-system", "name": "kpx"}
        server.preload(LEASES, [{"metadata": metadata, "spec": spec}])
        began = time.monotonic()
        two = Replica(client, "two")
        try:
            eventually(two.election.holds.is_set)
            assert time.monotonic() - began >= 1.0
            assert lease(server)["leaseTransitions"] == 5
        finally:
            two.end()

    @pytest.mark.parametrize("refusal", [Refusal(503), Refusal(hang=True)])
    def test_a_holder_that_cannot_renew_stops_before_the_lease_runs_out(
        self, server: ApiServer, client: Client, refusal: Refusal
    ) -> None:
        one = Replica(client, "one")
        eventually(one.election.holds.is_set)
        server.refusals[LEASES].extend([refusal] * 100)
        renewed = time.monotonic()
        eventually(lambda: one.led)
        assert one.led[0][1] - renewed < 2.0
        server.refusals[LEASES].clear()
        one.stop.set()
        one.thread.join()

    def test_a_holder_whose_lease_was_taken_stops(self, server: ApiServer, client: Client) -> None:
        one = Replica(client, "one", lease_duration=60.0, renew_deadline=50.0)
        eventually(one.election.holds.is_set)
        [held] = server.get(LEASES)
        server.put(LEASES, {**held, "spec": {**held["spec"], "holderIdentity": "two"}})
        eventually(lambda: one.led)
        one.end()
        assert lease(server)["holderIdentity"] == "two"

    def test_what_fails_while_leading_is_raised_and_gives_the_lease_back(
        self, server: ApiServer, client: Client
    ) -> None:
        election = LeaderElection(client, "kube-system", "kpx", "one")

        def fail(lost: threading.Event) -> None:
            raise RuntimeError("broken")

        with pytest.raises(RuntimeError, match="broken"):
            election.run(threading.Event(), fail)
        assert lease(server)["holderIdentity"] == ""


class TestEvents:
    WEB = ObjectReference("v1", "Service", "web", "default", "uid-1")

    @pytest.fixture
    def recorder(self, client: Client) -> Iterator[EventRecorder]:
        recorder = EventRecorder(client, "kpx", "node")
        stop = threading.Event()
        thread = threading.Thread(target=recorder.run, args=(stop,))
        thread.start()
        yield recorder
        stop.set()
        thread.join()

    def test_the_same_event_counts_up(self, server: ApiServer, recorder: EventRecorder) -> None:
        for _ in range(3):
            recorder.record(self.WEB, "Warning", "Refused", "Program", "it did not work")
        recorder.record(self.WEB, "Warning", "Refused", "Program", "in another way")
        eventually(lambda: len(server.get(EVENTS)) == 2)
        first, _ = server.get(EVENTS)
        assert first["series"]["count"] == 3
        assert first["regarding"]["uid"] == "uid-1"
        assert first["note"] == "it did not work"

    def test_what_all_find_is_reported_once(
        self, server: ApiServer, client: Client, recorder: EventRecorder
    ) -> None:
        stop = threading.Event()
        others = [EventRecorder(client, "kpx", f"node-{number}") for number in range(5)]
        threads = [threading.Thread(target=other.run, args=(stop,)) for other in others]
        for thread in threads:
            thread.start()
        for each in [recorder, *others] * 2:
            each.record(self.WEB, "Warning", "Rejected", "Program", "no type", is_shared=True)
        recorder.record(self.WEB, "Warning", "Rejected", "Program", "no port", is_shared=True)
        recorder.record(self.WEB, "Warning", "Refused", "Program", "no type")
        asked = "/apis/events.k8s.io/v1/namespaces/default/events"
        # Of each who found it and one who counted it up, and the two others.
        eventually(lambda: len(server.asked(asked)) == 8)
        eventually(lambda: len(server.get(EVENTS)) == 3)
        stop.set()
        for thread in threads:
            thread.join()
        assert sorted(event["note"] for event in server.get(EVENTS)) == [
            "no port",
            "no type",
            "no type",
        ]
        assert [each.dropped for each in others] == [0] * 5

    def test_an_object_gets_a_bounded_number(
        self, server: ApiServer, recorder: EventRecorder
    ) -> None:
        for number in range(40):
            recorder.record(self.WEB, "Warning", "Refused", "Program", f"{number}")
        eventually(lambda: recorder.dropped == 15)
        assert len(server.get(EVENTS)) == 25

    def test_who_records_never_waits(self, server: ApiServer, recorder: EventRecorder) -> None:
        server.refusals[EVENTS].append(Refusal(0, delay=3.0))
        began = time.monotonic()
        for number in range(5000):
            recorder.record(self.WEB, "Warning", "Refused", "Program", f"{number}")
        assert time.monotonic() - began < 2.5
        assert recorder.dropped >= 3000
