"""Binomial methods against scipy, statsmodels, published tables and their own definition."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from harness.stats.proportions import Tango, clopper_pearson, effective_size, mcnemar, wilson

COUNTS = [(0, 1), (0, 10_000), (1, 1), (3, 7), (50, 100), (997, 1000)]


@pytest.mark.parametrize(("successes", "n"), COUNTS)
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_intervals_are_scipys(successes: int, n: int, confidence: float) -> None:
    test = scipy.stats.binomtest(successes, n)
    own = wilson(successes / n, n, confidence), clopper_pearson(successes, n, confidence)
    for bounds, method in zip(own, ("wilson", "exact"), strict=True):
        assert bounds == pytest.approx(tuple(test.proportion_ci(confidence, method=method)), abs=1e-12)


def test_none_right_of_10000_is_not_plus_minus_zero() -> None:
    assert wilson(0.0, 10_000, 0.95) == pytest.approx((0.0, 0.000384), abs=1e-6)


@pytest.mark.parametrize(("higher", "lower"), [(0, 0), (1, 7), (7, 1), (12, 12), (40, 20), (6, 16)])
def test_mcnemar_is_statsmodels_and_the_definition_of_mid_p(higher: int, lower: int) -> None:
    exact, mid = mcnemar(higher, lower)
    assert exact == pytest.approx(statsmodels_mcnemar([[5, higher], [lower, 5]], exact=True).pvalue)
    null = scipy.stats.binom(higher + lower, 0.5)
    fewer = min(higher, lower)
    assert mid == pytest.approx(2 * null.cdf(fewer) - null.pmf(fewer))


def test_mcnemar_on_the_published_airway_example() -> None:
    # Fagerland, Lydersen and Laake (2013), table 1: exact 0.0703, mid-p 0.0391.
    assert mcnemar(1, 7) == pytest.approx((0.0703, 0.0391), abs=5e-5)


def score_statistic(table: Tango, difference: float) -> float:
    """Tango's statistic with the constrained likelihood maximised numerically instead of in closed form."""
    b, c, n = table.higher, table.lower, table.n

    def loss(only_second: float) -> float:
        parts = (b, only_second + difference), (c, only_second), (n - b - c, 1 - 2 * only_second - difference)
        return -float(sum(count * np.log(p) for count, p in parts if count))

    edges = max(0.0, -difference), (1 - difference) / 2
    q = scipy.optimize.minimize_scalar(loss, bounds=edges, method="bounded", options={"xatol": 1e-12}).x
    return float((b - c - n * difference) / np.sqrt(n * (2 * q + difference * (1 - difference))))


@pytest.mark.parametrize("table", [Tango(40, 20, 160), Tango(1, 7, 21), Tango(6, 16, 161), Tango(30, 1, 40)])
def test_tango_inverts_the_score_test(table: Tango) -> None:
    low, high = table.interval(0.95)
    assert score_statistic(table, low) == pytest.approx(1.959964, abs=1e-4)
    assert score_statistic(table, high) == pytest.approx(-1.959964, abs=1e-4)


def test_tango_at_zero_is_mcnemars_test() -> None:
    assert Tango(40, 20, 160).score(0.0) ** 2 == pytest.approx(
        statsmodels_mcnemar([[1, 40], [20, 1]], exact=False, correction=False).statistic
    )


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (Tango(0, 0, 100), (-0.037, 0.037)),  # z^2 / (n + z^2)
        (Tango(10, 0, 10), (0.4453, 1.0)),
        (Tango(0, 10, 10), (-1.0, -0.4453)),
        (Tango(1, 0, 1), (-0.5869, 1.0)),
    ],
)
def test_tango_at_the_edges(table: Tango, expected: tuple[float, float]) -> None:
    assert table.interval(0.95) == pytest.approx(expected, abs=5e-4)
    assert 0 <= table.p_value(-1.5) <= table.p_value(0.0) <= table.p_value(1.5) <= 1


@pytest.mark.parametrize(
    ("values", "clusters", "expected"),
    [
        ([1, 1, 0, 0] * 25, list(range(100)), 100.0),
        ([0] * 30, [0, 1, 2] * 10, 3.0),
        ([1] * 4, [0] * 4, 1.0),
        ([1, 0, 1, 0], [0, 0, 1, 1], 4.0),
    ],
)
def test_effective_size(values: list[int], clusters: list[int], expected: float) -> None:
    assert effective_size(np.array(values, np.float64), clusters, 0.95) == pytest.approx(expected, rel=0.02)


def test_ten_copies_of_an_example_are_worth_about_one() -> None:
    values = np.repeat(np.random.default_rng(0).integers(0, 2, 200).astype(np.float64), 10)
    assert effective_size(values, np.repeat(np.arange(200), 10), 0.95) == pytest.approx(200, rel=0.05)
