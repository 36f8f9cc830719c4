"""The work queue under a clock of its own."""

from kpx.controller import WorkQueue


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def take(queue: WorkQueue[str], *names: str) -> None:
    """Takes keys and finishes them; the queue must hold no others that are due."""
    taken = []
    for _ in names:
        key = queue.get()
        assert key is not None
        queue.done(key)
        taken.append(key)
    assert sorted(taken) == sorted(names)
    assert is_idle(queue)


def is_idle(queue: WorkQueue[str]) -> bool:
    queue.add("sentinel")
    key = queue.get()
    assert key is not None
    queue.done(key)
    if key == "sentinel":
        return True
    queue.add(key)
    assert queue.get() == "sentinel"
    queue.done("sentinel")
    return False


def test_a_key_is_queued_once() -> None:
    queue: WorkQueue[str] = WorkQueue(Clock())
    for _ in range(3):
        queue.add("a")
    queue.add("b")
    take(queue, "a", "b")


def test_e16_a_key_that_is_worked_on_comes_again_after_that() -> None:
    queue: WorkQueue[str] = WorkQueue(Clock())
    queue.add("a")
    assert queue.get() == "a"
    queue.add("a")
    assert is_idle(queue), "no other worker may have it"
    queue.done("a")
    take(queue, "a")


def test_the_soonest_of_several_times_counts() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add("a", 5)
    queue.add("a", 2)
    queue.add("a", 9)
    clock.now += 1.9
    assert is_idle(queue)
    clock.now += 0.2
    take(queue, "a")
    clock.now += 60
    assert is_idle(queue)


def test_e15_failures_wait_longer_and_longer_and_success_forgets_them() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add("a")
    for seconds in (1, 2, 4, 8, 16):
        assert queue.get() == "a"
        queue.done("a", failed=True)
        clock.now += seconds - 0.1
        assert is_idle(queue)
        clock.now += 0.2
    take(queue, "a")
    queue.add("a")
    assert queue.get() == "a"
    queue.done("a", failed=True)
    clock.now += 1.1
    take(queue, "a")


def test_e15_a_key_is_never_given_up() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add("a")
    for _ in range(40):
        assert queue.get() == "a"
        queue.done("a", failed=True)
        clock.now += 1000.1
    take(queue, "a")


def test_a_shut_queue_lets_everyone_go() -> None:
    queue: WorkQueue[str] = WorkQueue(Clock())
    queue.add("a")
    queue.shut()
    assert queue.get() is None
