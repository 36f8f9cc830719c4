"""Clients ask all the time, over UDP and TCP, while a StatefulSet scales and its Pods restart."""

import random
import statistics
import threading

from stateful_set import DB, Asker, Set, stateful_set


def test_names_follow_the_pods_and_none_comes_back() -> None:
    with stateful_set() as running:
        check(running)


def check(stateful_set: Set) -> None:
    stop = threading.Event()
    askers = [Asker(stateful_set.server, stop, over_tcp) for over_tcp in (False, True)]
    for asker in askers:
        asker.start()
    random.seed(7)
    try:
        for number in range(6):
            stateful_set.start(number)
        for _ in range(6):
            stateful_set.restart(random.randrange(6))
        for number in range(5, 1, -1):
            stateful_set.stop(number)
        for number in range(2, 5):
            stateful_set.start(number)
    finally:
        stop.set()
        for asker in askers:
            asker.join()
    assert [asker.failures for asker in askers] == [[], []]
    seen = [one for asker in askers for one in asker.seen]
    last = Asker(stateful_set.server, stop, over_tcp=True).ask(DB)
    assert last.addresses == set(stateful_set.pods.values())

    for number in range(1, stateful_set.made + 1):
        address = f"10.244.0.{number}"
        for name in {one.name for one in seen}:
            answers = [one for one in seen if one.name == name]
            first = min((one.answered for one in answers if address in one.addresses), default=None)
            if first is None:
                continue
            assert first > stateful_set.ready[address], "before it was ready"
            gone = (one for one in answers if one.asked > first and address not in one.addresses)
            left = min((one.answered for one in gone), default=float("inf"))
            # Who asks after anybody was told that it is gone is told so too.
            late = [one for one in answers if one.asked > left and address in one.addresses]
            assert not late, (name, address)
    # 100 ms on a quiet machine (`bench/test_dns_names.py`); here others may be at work.
    assert statistics.median(stateful_set.delays) < 1, stateful_set.delays
