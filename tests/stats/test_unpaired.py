"""Unpaired comparison against Welch's t test."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from harness.metrics.base import mean_stats
from harness.metrics.exact import TokenF1
from harness.stats.bootstrap import Resampler
from harness.stats.unpaired import compare_unpaired

RNG = np.random.default_rng(5)
FIRST, SECOND = RNG.beta(2, 3, 150), RNG.beta(2, 3.5, 150)
RESAMPLER = Resampler(0, resamples=4000)


def test_a_mean_agrees_with_welchs_test() -> None:
    own = compare_unpaired(TokenF1(), mean_stats(FIRST), mean_stats(SECOND), RESAMPLER)
    t = scipy.stats.ttest_ind(FIRST, SECOND, equal_var=False)
    assert (own.low, own.high) == pytest.approx(tuple(t.confidence_interval()), abs=0.004)
    assert own.p == pytest.approx(t.pvalue, abs=0.02)
    assert not own.sample.paired
    assert "unpaired" in own.method
    assert own.effect is None


def test_samples_of_equal_size_are_resampled_independently() -> None:
    own = compare_unpaired(TokenF1(), mean_stats(FIRST), mean_stats(FIRST), RESAMPLER)
    assert own.difference == 0
    assert own.low is not None
    assert own.low < -0.03


@pytest.mark.parametrize(("first", "second"), [([], [0.1, 0.2]), ([0.3], [0.1, 0.2]), ([0.3] * 7, [0.1] * 7)])
def test_degenerate_input_has_no_interval(first: list[float], second: list[float]) -> None:
    own = compare_unpaired(TokenF1(), mean_stats(first), mean_stats(second), RESAMPLER)
    assert (own.low, own.high, own.p) == (None, None, None)
    assert own.method.startswith("none: ")
