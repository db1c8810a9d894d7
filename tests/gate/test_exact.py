"""Counts of failed completions where examples are in clusters, against statsmodels and the exact distribution."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api
from scipy import stats

from harness.gate.exact import compare_failures

CLUSTERS = np.repeat(np.arange(30), 4)


def test_the_interval_of_clustered_failures_is_about_their_share() -> None:
    rng = np.random.default_rng(0)
    failed = np.repeat(rng.random(30) < 0.2, 4) & (rng.random(120) < 0.7)
    comparison = compare_failures(failed, np.zeros(120, bool), CLUSTERS, 0.95)
    fitted = statsmodels.api.OLS(failed.astype(float), np.ones(120)).fit(
        cov_type="cluster", cov_kwds={"groups": CLUSTERS}, use_t=True
    )
    low, high = fitted.conf_int()[0]
    assert comparison.difference == pytest.approx(failed.mean())
    assert [comparison.low, comparison.high] == pytest.approx([low, high])
    assert comparison.method == "t, 30 clusters"


@pytest.mark.parametrize("each", [0, 1, 4])
def test_clusters_that_do_not_vary_have_an_interval(each: int) -> None:
    failed = np.tile(np.arange(4) < each, 30)
    comparison = compare_failures(failed, np.zeros(120, bool), CLUSTERS, 0.95)
    assert comparison.low is not None
    assert comparison.high is not None
    assert comparison.low <= each / 4 <= comparison.high
    assert comparison.high - comparison.low > 0.05
    if each == 4:
        bound = stats.binomtest(30, 30).proportion_ci(0.95, method="exact").low
        assert comparison.low == pytest.approx(2 * bound - 1)


def test_failures_of_independent_examples_are_as_before() -> None:
    failed = np.arange(120) < 6
    comparison = compare_failures(failed, np.zeros(120, bool), None, 0.95)
    assert comparison.method == "tango, 120 examples"
    assert comparison.p_above == pytest.approx(stats.binomtest(6, 6, alternative="greater").pvalue)
