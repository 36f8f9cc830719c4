"""What a cache is believed, and which time a write carries."""

from dataclasses import replace

from endpointslices.cluster import service_with_uid
from kpx._core import Pod
from kpx.endpointslices import (
    EndpointSlice,
    ExpectationTracker,
    Service,
    TriggerTimeTracker,
    VersionTracker,
)
from objects import pod, pod_record

WEB = ("default", "web")
SLICE = EndpointSlice(
    namespace="default",
    labels={},
    address_type="IPv4",
    ports=(),
    endpoints=(),
    name="web-1",
    uid="u1",
    generation=2,
    resource_version="20",
)
OLDER = replace(SLICE, generation=1, resource_version="10")


class TestStaleCache:
    def test_l8_a_cache_is_stale_until_it_shows_what_was_written(self) -> None:
        tracker = ExpectationTracker()
        assert not tracker.is_stale(WEB, [])
        tracker.wrote(WEB, SLICE)
        assert tracker.is_stale(WEB, [])
        assert tracker.is_stale(WEB, [OLDER])
        assert not tracker.is_stale(WEB, [SLICE])
        assert not tracker.is_stale(WEB, [replace(SLICE, generation=3)])
        assert not tracker.is_stale(("default", "other"), [])

    def test_l8_a_cache_is_stale_while_it_shows_what_was_deleted(self) -> None:
        tracker = ExpectationTracker()
        tracker.wrote(WEB, SLICE)
        tracker.deleted(WEB, SLICE)
        assert tracker.is_stale(WEB, [SLICE])
        assert not tracker.is_stale(WEB, [])

    def test_e7_only_deletions_by_others_are_news(self) -> None:
        tracker = ExpectationTracker()
        tracker.wrote(WEB, SLICE)
        assert not tracker.saw_deletion(WEB, SLICE)
        assert not tracker.is_stale(WEB, [])
        tracker.deleted(WEB, SLICE)
        assert tracker.saw_deletion(WEB, SLICE)

    def test_e7_our_own_writes_and_what_is_older_are_no_news(self) -> None:
        tracker = ExpectationTracker()
        assert tracker.is_news(WEB, SLICE)
        tracker.wrote(WEB, SLICE)
        assert not tracker.is_news(WEB, SLICE)
        assert not tracker.is_news(WEB, OLDER)
        assert tracker.is_news(WEB, replace(SLICE, generation=3, resource_version="30"))
        tracker.forget(WEB)
        assert tracker.is_news(WEB, SLICE)

    def test_e7_an_edit_of_labels_alone_is_news(self) -> None:
        tracker = ExpectationTracker()
        tracker.wrote(WEB, SLICE)
        assert tracker.is_news(WEB, replace(SLICE, resource_version="21"))


class TestVersions:
    def test_l10_a_cache_that_shows_what_we_replaced_is_behind(self) -> None:
        tracker = VersionTracker()
        tracker.begins(WEB)
        tracker.ended(WEB, "10", "11")
        assert tracker.is_stale(WEB, "10")
        assert not tracker.is_stale(WEB, "11")
        tracker.seen(WEB)
        assert not tracker.is_stale(WEB, "10")

    def test_l10_a_write_that_changes_nothing_is_not_waited_for(self) -> None:
        tracker = VersionTracker()
        tracker.begins(WEB)
        tracker.ended(WEB, "10", "10")
        assert not tracker.is_stale(WEB, "10")

    def test_l10_a_write_that_fails_is_not_waited_for(self) -> None:
        tracker = VersionTracker()
        tracker.begins(WEB)
        tracker.ended(WEB, "10", None)
        assert not tracker.is_stale(WEB, "10")

    def test_l10_a_cache_that_was_faster_than_the_answer_is_not_waited_for(self) -> None:
        tracker = VersionTracker()
        tracker.begins(WEB)
        # What we create is seen to come and to go before we hear that it was made.
        tracker.seen(WEB)
        tracker.seen(WEB)
        tracker.ended(WEB, "", "11")
        assert not tracker.is_stale(WEB, "")

    def test_l10_a_deletion_is_waited_for(self) -> None:
        tracker = VersionTracker()
        tracker.begins(WEB)
        tracker.ended(WEB, "10", "")
        assert tracker.is_stale(WEB, "10")


class TestTriggerTime:
    @staticmethod
    def pods(*times: str) -> list[Pod]:
        return [
            pod_record(
                pod(
                    f"p{number}",
                    "10.0.0.1",
                    status={
                        "conditions": [
                            {"type": "Ready", "status": "True", "lastTransitionTime": time}
                        ]
                    },
                )
            )
            for number, time in enumerate(times)
        ]

    def test_l6_the_earliest_change_since_the_last_write(self) -> None:
        tracker = TriggerTimeTracker()
        web = Service.from_object(service_with_uid())
        first = tracker.compute(web, self.pods("2026-01-03T00:00:00Z"), [])
        assert first == "2026-01-01T00:00:00Z"
        tracker.written(WEB)
        later = self.pods("2026-01-03T00:00:00Z", "2026-01-05T00:00:00Z", "2026-01-04T00:00:00Z")
        assert tracker.compute(web, later, []) == "2026-01-04T00:00:00Z"
        tracker.written(WEB)
        assert tracker.compute(web, later, []) == ""
        assert tracker.compute(web, later[:1], []) == ""

    def test_l6_after_a_restart_only_what_the_slices_do_not_tell_yet(self) -> None:
        web = Service.from_object(service_with_uid())
        published = "2026-01-04T00:00:00Z"
        old, new = "2026-01-03T00:00:00Z", "2026-01-05T00:00:00Z"
        assert TriggerTimeTracker().compute(web, self.pods(old), [published]) == ""
        assert TriggerTimeTracker().compute(web, self.pods(old, new), [published]) == new

    def test_l6_a_write_that_fails_keeps_the_time_for_the_next(self) -> None:
        tracker = TriggerTimeTracker()
        web = Service.from_object(service_with_uid())
        first = "2026-01-01T00:00:00Z"
        assert tracker.compute(web, [], []) == first
        # A part of the slices may have been written, with that time.
        assert tracker.compute(web, self.pods("2026-01-03T00:00:00Z"), [first]) == first
        tracker.written(WEB)
        assert tracker.compute(web, self.pods("2026-01-03T00:00:00Z"), [first]) == ""

    def test_l6_a_write_without_a_trigger_carries_no_time(self) -> None:
        published = SLICE.triggered_at("2026-01-04T00:00:00Z")
        assert published.annotations
        assert published.triggered_at("").annotations == {}
