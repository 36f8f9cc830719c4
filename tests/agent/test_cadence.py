"""When work is due, by numbers alone."""

from hypothesis import given
from hypothesis import strategies as st

from kpx.agent.cadence import Cadence, Work


def audited(now: float = 0.0, **settings: float) -> Cadence:
    """A cadence that has just compared everything."""
    cadence = Cadence(**settings)
    cadence.started()
    cadence.finished(Work.ALL, now, now)
    return cadence


def test_an_audit_is_due_first_and_then_every_second() -> None:
    cadence = Cadence()
    due, work = cadence.deadline()
    assert due <= 0
    assert work is Work.AUDIT
    cadence.audited(5.0)
    assert cadence.deadline() == (6.0, Work.AUDIT)


def test_a_change_after_a_pause_is_due_at_once() -> None:
    cadence = audited(0)
    cadence.changed(0.5)
    assert cadence.deadline() == (0.5, Work.CHANGES)


def test_changes_in_a_row_are_gathered_while_they_come() -> None:
    cadence = audited(0, quiet=0.002, longest=0.02)
    cadence.changed(0.001)
    assert cadence.deadline()[0] == 0.003
    cadence.changed(0.002)
    assert cadence.deadline()[0] == 0.004


def test_no_change_is_gathered_beyond_the_bound() -> None:
    cadence = audited(0, quiet=0.002, longest=0.02)
    for tick in range(1, 100):
        cadence.changed(tick * 0.001)
    assert cadence.deadline()[0] == 0.001 + 0.02


def test_the_least_period_is_kept_from_the_end_of_one_to_the_next() -> None:
    cadence = audited(0, min_period=0.7)
    cadence.changed(0.1)
    assert cadence.deadline() == (0.7, Work.CHANGES)


def test_what_changes_during_work_is_due_after_it() -> None:
    cadence = audited(0)
    cadence.changed(0.3)
    cadence.started()
    cadence.changed(0.31)
    cadence.finished(Work.CHANGES, 0.3, 0.32)
    due, work = cadence.deadline()
    assert due <= 0.32 + 0.02
    assert work is Work.CHANGES


def test_reading_everything_takes_a_tenth_of_the_time_at_most() -> None:
    cadence = audited()
    cadence.finished(Work.ALL, 100.0, 102.0)
    assert cadence.deadline() == (122.0, Work.AUDIT)


def test_what_is_refused_of_single_objects_is_retried_beside_all_else() -> None:
    cadence = audited(0)
    cadence.changed(0.1)
    cadence.started()
    cadence.finished(Work.CHANGES, 0.1, 0.1, is_complete=False)
    retry_at, work = cadence.deadline()
    assert (round(retry_at, 3), work) == (0.3, Work.RETRY)
    cadence.changed(0.2)
    assert cadence.deadline() == (0.2, Work.CHANGES), "it blocks nothing"
    cadence.started()
    cadence.finished(Work.CHANGES, 0.2, 0.2, is_complete=False)
    assert cadence.deadline() == (retry_at, Work.RETRY), "nor is it put off"
    cadence.finished(Work.RETRY, 0.3, 0.3, is_complete=False)
    assert round(cadence.deadline()[0], 3) == 0.7
    cadence.finished(Work.RETRY, 0.7, 0.7)
    assert cadence.deadline()[1] is Work.AUDIT


def test_failures_are_retried_whole_after_a_doubling_pause_within_the_sync_period() -> None:
    cadence = audited(0, sync_period=2)
    pauses = []
    for _ in range(6):
        cadence.started()
        cadence.failed(10.0)
        due, work = cadence.deadline()
        assert work is Work.ALL
        pauses.append(round(due - 10.0, 3))
    assert pauses == [0.2, 0.4, 0.8, 1.6, 2, 2]
    cadence.finished(Work.ALL, 12, 12)
    cadence.failed(13.0)
    assert round(cadence.deadline()[0] - 13.0, 3) == 0.2


@given(st.lists(st.floats(0, 0.05), min_size=1, max_size=60))
def test_a_change_is_never_due_later_than_the_bound_after_it(gaps: list[float]) -> None:
    cadence = audited(0, longest=0.02)
    now, waiting = 0.0, None
    for gap in gaps:
        now += gap
        due, _ = cadence.deadline()
        if waiting is not None and due <= now:
            assert due <= waiting + 0.02 + 1e-9
            cadence.started()
            cadence.finished(Work.CHANGES, due, due)
            waiting = None
        cadence.changed(now)
        waiting = now if waiting is None else waiting
