"""How long to wait after a failure."""

import random as random_module
import time
from collections.abc import Callable

__all__ = ["Backoff"]


class Backoff:
    """Waits that double, with jitter, and start over after a time of health.

    The figures are those of client-go's reflector: 800 ms to 30 s, jitter 1.0, 2 minutes.
    """

    def __init__(
        self,
        *,
        initial: float = 0.8,
        longest: float = 30.0,
        reset_after: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        """Starts at the shortest.

        Args:
            initial: Seconds of the first wait.
            longest: Seconds of the longest wait, before jitter.
            reset_after: After how many seconds without a failure waits start over.
            clock: Seconds, from any start.
            random: A number from 0 to 1.
        """
        self._initial = initial
        self._longest = longest
        self._reset_after = reset_after
        self._clock = clock
        self._random = random
        self._next = initial
        self._until: float | None = None

    def wait(self, at_least: float | None = None) -> float:
        """The seconds to wait after one more failure, but what the server asks for at least."""
        now = self._clock()
        if self._until is not None and now - self._until >= self._reset_after:
            self._next = self._initial
        jittered = self._next * (1 + self._random())
        self._next = min(self._next * 2, self._longest)
        seconds = max(jittered, at_least or 0.0)
        self._until = now + seconds
        return seconds
