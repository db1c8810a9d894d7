"""Power against statsmodels and in simulation."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.power import TTestPower

from harness.stats.power import PowerPlan, detectable_difference, pairs_needed, power


@pytest.mark.parametrize("n", [5, 64, 800, 9_000, 60_000])
@pytest.mark.parametrize("target", [0.8, 0.9])
def test_detectable_difference_is_statsmodels(n: int, target: float) -> None:
    own = detectable_difference(0.2, n, PowerPlan(power=target))
    expected = TTestPower().solve_power(nobs=n, power=target, alpha=0.05) * 0.2
    assert own == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("difference", [0.3, 0.05, 0.01])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_pairs_needed_is_statsmodels(difference: float, confidence: float) -> None:
    own = pairs_needed(0.2, -difference, PowerPlan(confidence, 0.9))
    expected = TTestPower().solve_power(effect_size=difference / 0.2, power=0.9, alpha=1 - confidence)
    assert own is not None
    assert own - 1 < expected * 1.001
    assert own > expected * 0.999
    assert power(difference, 0.2, own, confidence) >= 0.9 > power(difference, 0.2, own - 1, confidence)


def test_the_planned_n_detects_the_difference_in_simulation() -> None:
    n = pairs_needed(0.2, 0.05, PowerPlan(power=0.9))
    assert n is not None
    samples = np.random.default_rng(0).normal(0.05, 0.2, (3000, n))
    assert np.mean(scipy.stats.ttest_1samp(samples, 0.0, axis=1).pvalue < 0.05) == pytest.approx(0.9, abs=0.02)


def test_differences_that_no_n_can_detect() -> None:
    assert pairs_needed(0.2, 0.0) is None
    assert pairs_needed(0.2, 1e-9) is None
    assert detectable_difference(0.2, 1) is None
    assert power(0.1, 0.2, 1) == 0.0
    with pytest.raises(ValueError, match="positive standard deviation"):
        power(0.1, 0.0, 10)
