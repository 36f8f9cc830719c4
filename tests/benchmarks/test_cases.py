"""The clusters that are measured."""

import json

import pytest
from bench import cases
from bench.changes import Cluster


def test_the_quick_text_of_a_slice_is_that_of_the_object() -> None:
    for addresses in ([], ["10.128.0.1"], [f"10.128.1.{n}" for n in range(100)]):
        assert json.loads(cases.slice_text(7, addresses)) == cases.slice_of(7, addresses)


def test_a_list_has_every_service_and_its_endpoints() -> None:
    services, slices = (json.loads(page) for page in cases.lists(range(3), 2))

    assert (services["kind"], slices["kind"]) == ("ServiceList", "EndpointSliceList")
    assert [one["spec"]["clusterIP"] for one in services["items"]] == [
        "10.0.0.10",
        "10.0.0.11",
        "10.0.0.12",
    ]
    found = [one["addresses"] for each in slices["items"] for one in each["endpoints"]]
    assert found == [[f"10.128.0.{n}"] for n in range(1, 7)]


def test_a_change_says_what_was_and_what_is() -> None:
    cluster = Cluster(20, 3)

    replaced = cluster.one_endpoint()
    ((service, addresses),) = replaced.after.items()
    assert cluster.addresses(service) == addresses
    assert replaced.before[service][1:] == addresses[1:]
    assert replaced.before[service][0] != addresses[0]

    added, removed = cluster.one_service(), cluster.one_service()
    assert (added.before, removed.after) == ({}, {})
    assert added.after == removed.before

    rolled = cluster.rolling_update()
    assert list(rolled.after) == [0, 10]
    assert not {ip for ips in rolled.after.values() for ip in ips} & {
        ip for ips in rolled.before.values() for ip in ips
    }


def test_every_service_changes_as_often_as_any_other() -> None:
    cluster = Cluster(1_000, 1)

    changed = [service for _ in range(1_000) for service in cluster.one_endpoint().after]

    assert sorted(changed) == list(range(1_000))


@pytest.mark.parametrize("happened", ["ADDED", "MODIFIED", "DELETED"])
def test_events_are_those_of_a_watch(happened: str) -> None:
    cluster = Cluster(5, 2)
    changes = {
        "MODIFIED": cluster.one_endpoint(),
        "ADDED": cluster.one_service(),
        "DELETED": cluster.one_service(),
    }

    events = [json.loads(line) for line in changes[happened].events()]

    kinds = {
        "MODIFIED": ["EndpointSlice"],
        "ADDED": ["Service", "EndpointSlice"],
        "DELETED": ["EndpointSlice", "Service"],
    }
    assert [(one["type"], one["object"]["kind"]) for one in events] == [
        (happened, kind) for kind in kinds[happened]
    ]
