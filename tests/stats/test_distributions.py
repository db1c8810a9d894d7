"""Bootstrap intervals are scipy's, and tails invert intervals."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from harness.stats.bootstrap import Resampler, leave_one_out
from harness.stats.distributions import Bootstrap, ConfidenceDistribution, Student, bca, percentile
from harness.stats.proportions import Tango

SKEWED = np.random.default_rng(3).exponential(size=40)


def resampled_means() -> np.ndarray:
    return Resampler(1, resamples=9999).sums(SKEWED) / len(SKEWED)


def own(method: str) -> Bootstrap:
    if method == "percentile":
        return percentile(resampled_means())
    return bca(resampled_means(), float(SKEWED.mean()), leave_one_out(SKEWED) / (len(SKEWED) - 1))


@pytest.mark.parametrize("method", ["percentile", "BCa"])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_intervals_are_scipys(method: str, confidence: float) -> None:
    scipys = scipy.stats.bootstrap(
        (SKEWED,), np.mean, method=method, confidence_level=confidence, n_resamples=9999, rng=np.random.default_rng(0)
    )
    low, high = own(method).interval(confidence)
    width = high - low
    assert low == pytest.approx(scipys.confidence_interval.low, abs=0.03 * width)
    assert high == pytest.approx(scipys.confidence_interval.high, abs=0.03 * width)


def test_bca_is_exactly_scipys_on_the_same_resamples() -> None:
    def replayed(sample: np.ndarray, axis: int = -1) -> np.ndarray:
        if sample.ndim == 1:
            return np.asarray(sample.mean())
        return resampled_means() if len(sample) == 9999 else sample.mean(axis=axis)

    scipys = scipy.stats.bootstrap(
        (SKEWED,), replayed, vectorized=True, method="BCa", n_resamples=9999, rng=np.random.default_rng(0)
    )
    assert own("BCa").interval(0.95) == pytest.approx(tuple(scipys.confidence_interval), rel=1e-9)


@pytest.mark.parametrize(
    "confidence",
    [
        Student(0.3, 0.1, 7.5),
        own("percentile"),
        own("BCa"),
        percentile(resampled_means(), degrees=9),
        bca(resampled_means(), float(SKEWED.mean()), leave_one_out(SKEWED) / 39, degrees=9),
        Tango(20, 9, 100),
        Tango(0, 0, 100),
    ],
)
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_a_tail_is_the_level_of_the_interval_that_ends_there(confidence: ConfidenceDistribution, level: float) -> None:
    low, high = confidence.interval(level)
    assert confidence.p_value(low) == pytest.approx((1 - level) / 2, abs=2e-3)
    assert confidence.p_value(high) == pytest.approx((1 + level) / 2, abs=2e-3)


def test_few_rows_widen_the_bootstrap_to_about_the_t_interval() -> None:
    values = np.random.default_rng(2).normal(size=8)
    scores = Resampler(1, resamples=20_000).sums(values) / 8
    low, high = percentile(scores, degrees=7).interval(0.95)
    student = Student(values.mean(), values.std(ddof=1) / np.sqrt(8), 7).interval(0.95)
    assert high - low == pytest.approx(student[1] - student[0], rel=0.1)


def test_a_tail_is_never_certain() -> None:
    assert 0 < own("percentile").p_value(-100.0) < own("percentile").p_value(100.0) < 1


@pytest.mark.parametrize("seed", range(20))
def test_bounds_stay_in_order_on_two_to_four_skewed_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.exponential(size=2 + seed % 3) ** 4
    n = len(values)
    own = bca(Resampler(1).sums(values) / n, float(values.mean()), leave_one_out(values) / (n - 1), degrees=n - 1)
    low, high = own.interval(0.99)
    slack = 1e-12 * values.max()
    assert values.min() - slack <= low < high <= values.max() + slack
    assert own.p_value(values.min()) <= own.p_value(values.mean()) <= own.p_value(values.max())
