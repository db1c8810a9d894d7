"""The interval of each kind of score, and the reason where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from harness.metrics.base import mean_stats
from harness.metrics.bleu import Bleu
from harness.metrics.exact import ExactMatch, TokenF1
from harness.protocols import Metric
from harness.stats.bootstrap import Resampler, leave_one_out
from harness.stats.distributions import bca
from harness.stats.intervals import intervals

RESAMPLER = Resampler(0, resamples=4000)
F1, EXACT = TokenF1(), ExactMatch()
SCORES = np.random.default_rng(1).beta(0.5, 1.5, 200)
BLEU_ROWS = np.random.default_rng(1).integers(1, 4, (60, 10)) * np.array([9, 9, 4, 3, 2, 1, 9, 8, 7, 6.0])


def test_a_mean_gets_scipys_bca_interval_widened_for_few_rows() -> None:
    (own,) = intervals([F1], [mean_stats(SCORES)], RESAMPLER)
    wide = 2 * scipy.stats.norm.cdf(scipy.stats.t(199).ppf(0.975) * np.sqrt(200 / 199)) - 1
    scipys = scipy.stats.bootstrap(
        (SCORES,), np.mean, confidence_level=wide, n_resamples=4000, rng=np.random.default_rng(0)
    )
    assert own.low == pytest.approx(scipys.confidence_interval.low, abs=0.003)
    assert own.high == pytest.approx(scipys.confidence_interval.high, abs=0.003)
    assert own.method == "bca, 4,000 resamples of 200 examples"


def test_heavy_tails_widen_by_scipys_kurtosis_less_the_squared_skewness() -> None:
    values = np.random.default_rng(0).standard_t(3, 200) ** 3
    (own,) = intervals([F1], [mean_stats(values)], RESAMPLER)
    kurtosis = scipy.stats.kurtosis(values) - scipy.stats.skew(values) ** 2
    degrees = 2 / (kurtosis / 200 + 2 / 199)
    resampled, jackknife_scores = RESAMPLER.sums(values) / 200, leave_one_out(values) / 199
    assert degrees < 60
    expected = bca(resampled, float(values.mean()), jackknife_scores, degrees).interval(0.95)
    assert (own.low, own.high) == pytest.approx(expected)


def test_a_proportion_gets_wilsons() -> None:
    (own,) = intervals([EXACT], [mean_stats([0.0] * 99 + [1.0])], RESAMPLER)
    expected = scipy.stats.binomtest(1, 100).proportion_ci(method="wilson")
    assert (own.low, own.high) == pytest.approx((expected.low, expected.high))
    assert own.method == "wilson"


def test_intervals_of_several_metrics_at_once_equal_those_one_by_one() -> None:
    metrics: list[Metric] = [F1, EXACT, Bleu()]
    stats = [mean_stats(SCORES[:60]), mean_stats((SCORES[:60] > 0.5).astype(float)), BLEU_ROWS]
    together = intervals(metrics, stats, RESAMPLER)
    for metric, rows, expected in zip(metrics, stats, together, strict=True):
        (alone,) = intervals([metric], [rows], RESAMPLER)
        assert alone.method == expected.method
        assert (alone.low, alone.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


@pytest.mark.parametrize("metric", [F1, EXACT])
def test_clusters_widen(metric: TokenF1 | ExactMatch) -> None:
    values = np.repeat((SCORES[:40] > 0.3).astype(float), 5)
    (alone,) = intervals([metric], [mean_stats(values)], RESAMPLER)
    (clustered,) = intervals([metric], [mean_stats(values)], RESAMPLER, clusters=np.repeat(np.arange(40), 5))
    assert None not in (alone.low, alone.high, clustered.low, clustered.high)
    ratio = (clustered.high - clustered.low) / (alone.high - alone.low)  # type: ignore[operator]
    assert ratio == pytest.approx(np.sqrt(5), rel=0.1)


@pytest.mark.parametrize(
    ("values", "clusters", "reason"),
    [
        ([], None, "none: 0 examples"),
        ([0.5], None, "none: 1 example"),
        ([0.5, 0.5, 0.5], None, "none: 3 examples with equal scores"),
        ([0.1] * 50, None, "none: 50 examples with equal scores"),
        ([0.1, 0.2], ["a", "a"], "none: 1 cluster"),
        ([np.nan, np.nan], None, "none: undefined for some resamples of 2 examples"),
        ([0.3, np.nan], None, "none: undefined for some resamples of 2 examples"),
    ],
)
def test_an_interval_that_cannot_be_computed_is_none_with_a_reason(
    values: list[float], clusters: list[str] | None, reason: str
) -> None:
    (own,) = intervals([F1], [mean_stats(values)], RESAMPLER, clusters)
    assert (own.low, own.high, own.method) == (None, None, reason)


@pytest.mark.parametrize(("value", "clusters", "n"), [(0.0, None, 30), (1.0, None, 30), (0.0, [0, 1, 2] * 10, 3)])
def test_a_proportion_of_0_or_1_has_an_interval(value: float, clusters: list[int] | None, n: int) -> None:
    (own,) = intervals([EXACT], [mean_stats([value] * 30)], RESAMPLER, clusters)
    expected = scipy.stats.binomtest(round(value * n), n).proportion_ci(method="wilson")
    assert (own.low, own.high) == pytest.approx((expected.low, expected.high))


def test_a_proportion_of_nothing_has_none() -> None:
    (own,) = intervals([EXACT], [mean_stats([np.nan] * 3)], RESAMPLER)
    assert own.method == "none: the metric is undefined for all examples"


def test_misaligned_metrics_are_an_error() -> None:
    assert intervals([], [], RESAMPLER) == ()
    with pytest.raises(ValueError, match=r"got \[3, 2\]"):
        intervals([F1, F1], [mean_stats([1.0] * 3), mean_stats([1.0] * 2)], RESAMPLER)
