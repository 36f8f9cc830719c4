"""Whether counts are as even as chance would make them: Pearson's chi-squared test."""

import math
from collections.abc import Collection


def survival(statistic: float, degrees: int) -> float:
    """Returns the probability that chance alone gives a statistic at least this large.

    This is the regularised upper incomplete gamma function Q(degrees / 2, statistic / 2), through
    the series of the lower one (Abramowitz and Stegun, 6.5.29).
    """
    if statistic <= 0:
        return 1.0
    shape, bound = degrees / 2, statistic / 2
    term = total = 1 / shape
    for step in range(1, 10_000):
        term *= bound / (shape + step)
        total += term
        if term < total * 1e-15:
            break
    return max(0.0, 1 - total * math.exp(shape * math.log(bound) - bound - math.lgamma(shape)))


def evenness(counts: Collection[int]) -> float:
    """Returns the probability that an even choice gives counts at least as uneven as these."""
    expected = sum(counts) / len(counts)
    statistic = sum((count - expected) ** 2 / expected for count in counts)
    return survival(statistic, len(counts) - 1)
