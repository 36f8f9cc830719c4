"""The statistics that judge balancing, against published values."""

import pytest

from .chi_squared import evenness, survival


@pytest.mark.parametrize(
    ("statistic", "degrees", "probability"),
    # Critical values of the NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.4.
    [
        (3.841, 1, 0.05),
        (9.488, 4, 0.05),
        (18.467, 4, 0.001),
        (13.277, 4, 0.01),
        (29.588, 10, 0.001),
    ],
)
def test_survival_equals_the_published_table(
    statistic: float, degrees: int, probability: float
) -> None:
    assert survival(statistic, degrees) == pytest.approx(probability, rel=1e-3)


def test_an_endpoint_with_a_double_share_is_found() -> None:
    assert evenness([120, 118, 125, 117, 120]) > 0.5
    assert evenness([200, 100, 100, 100, 100]) < 1e-6
