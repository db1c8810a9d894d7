"""Intervals over training seeds cover the score of another training run on other examples."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from harness.errors import StoreError
from harness.metrics.base import mean_stats
from harness.metrics.exact import TokenF1
from harness.stats.replicates import compare_replicates, replicate_interval

F1 = TokenF1()


def trained(rng: np.random.Generator, mean: float, difficulty: np.ndarray, runs: int) -> list[np.ndarray]:
    """Scores with a spread of 0.02 between training runs, and of 0.1 between completions."""
    return [
        mean_stats(mean + 0.02 * rng.normal() + difficulty + 0.1 * rng.normal(size=len(difficulty)))
        for _ in range(runs)
    ]


@pytest.mark.parametrize("runs", [2, 3, 5])
def test_intervals_cover_over_runs_and_examples(runs: int) -> None:
    rng, hits, hits_one = np.random.default_rng(runs), 0, 0
    for _ in range(600):
        difficulty = 0.2 * rng.normal(size=50)
        first, second = (trained(rng, mean, difficulty, runs) for mean in (0.5, 0.45))
        comparison = compare_replicates(F1, first, second)
        interval = replicate_interval(F1, first)
        assert comparison.low is not None
        assert comparison.high is not None
        assert interval.low is not None
        assert interval.high is not None
        hits += comparison.low <= 0.05 <= comparison.high
        hits_one += interval.low <= 0.5 <= interval.high
    assert 0.925 <= hits / 600 <= 0.995
    assert 0.925 <= hits_one / 600 <= 0.975


def test_single_runs_give_the_paired_t_test_and_say_so() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.beta(2, 3, 60), rng.beta(2, 3, 60)
    own = compare_replicates(F1, [mean_stats(first)], [mean_stats(second)])
    t = scipy.stats.ttest_rel(first, second)
    assert (own.low, own.high) == pytest.approx(tuple(t.confidence_interval()))
    assert own.p == pytest.approx(t.pvalue)
    assert "training noise of a single run not included" in own.method


def test_clusters_count_as_units() -> None:
    runs = trained(np.random.default_rng(0), 0.5, np.zeros(60), 3)
    assert replicate_interval(F1, runs, clusters=[0, 1, 2] * 20).method == "t, 3 training runs on 3 clusters"


@pytest.mark.parametrize("values", [[0.5], [0.1] * 7])
def test_degenerate_input_has_no_interval(values: list[float]) -> None:
    runs = [mean_stats(values)] * 2
    assert replicate_interval(F1, runs).low is None
    assert compare_replicates(F1, runs, runs).difference is None


@pytest.mark.parametrize("runs", [[], [mean_stats([0.1]), mean_stats([0.1, 0.2])]])
def test_runs_that_do_not_belong_together_are_refused(runs: list[np.ndarray]) -> None:
    with pytest.raises(StoreError, match="on the same examples"):
        replicate_interval(F1, runs)
