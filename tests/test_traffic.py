"""Rates: what two readings of counters make, and when there are none."""

import json
from typing import Any

import pytest

from kpx.errors import CountFailed
from kpx.traffic import Order, rates


class Counters:
    """Says one thing after the other."""

    def __init__(self, *readings: dict[str, Any]) -> None:
        self._readings = iter(readings)

    def read(self) -> str:
        return json.dumps({"counting": 1, "silent": 0, "services": {}, **next(self._readings)})


def counts(connections: int, refused: int = 0, **endpoints: int) -> dict[str, Any]:
    return {"connections": connections, "refused": refused, "endpoints": endpoints}


def test_rates_are_per_second_of_the_time_that_passed() -> None:
    times = iter([10.0, 12.5])
    services = {"a/web": counts(5, 10, one=1, two=4)}
    found = next(
        rates(
            Counters({}, {"services": services, "silent": 3}),
            1.0,
            clock=lambda: next(times),
            sleep=lambda _seconds: None,
        )
    )

    (web,) = found.services
    assert (found.seconds, found.silent) == (2.5, 3)
    assert (web.connections, web.per_second, web.refused_per_second) == (5, 2.0, 4.0)
    busiest = [(one.endpoint, one.connections, one.per_second) for one in web.endpoints]
    assert busiest == [("two", 4, 1.6), ("one", 1, 0.4)]


def test_services_are_sorted() -> None:
    services = {"a/a": counts(1, 0), "a/b": counts(9, 1), "a/c": counts(1, 5)}
    found = next(rates(Counters({}, {"services": services}), 1.0, sleep=lambda _seconds: None))

    def names(order: Order) -> list[str]:
        return [one.service for one in found.sorted(order)]

    assert names(Order.NAME) == ["a/a", "a/b", "a/c"]
    assert names(Order.CONNECTIONS) == ["a/b", "a/a", "a/c"]
    assert names(Order.REFUSED) == ["a/c", "a/b", "a/a"]


@pytest.mark.parametrize(("silent", "message"), [(7, "does not count"), (0, "nothing is")])
def test_no_counter_is_an_error_with_a_hint(silent: int, message: str) -> None:
    with pytest.raises(CountFailed, match=message) as caught:
        next(rates(Counters({"counting": 0, "silent": silent}), 1.0))

    assert "--counters" in (caught.value.hint or "")
