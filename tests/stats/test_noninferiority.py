"""The three outcomes, their agreement with the interval, and the family's error rate."""

from __future__ import annotations

import numpy as np
import pytest

from harness.metrics.base import mean_stats
from harness.metrics.exact import ExactMatch, TokenF1
from harness.stats.bootstrap import Resampler
from harness.stats.comparison import Comparison, Question
from harness.stats.noninferiority import GateOutcome, decide, threshold
from harness.stats.paired import compare
from harness.stats.power import PowerPlan, pairs_needed

RESAMPLER = Resampler(0, permutations=99)


def change(mean: float, margin: float = 0.02, n: int = 400, better: bool = True) -> Comparison:
    """Differences with this mean and a deviation of 0.1."""
    noise = np.random.default_rng(n).normal(size=n)
    differences = mean + 0.1 * (noise - noise.mean()) / noise.std(ddof=1)
    question = Question(threshold=threshold(margin, better))
    return compare(TokenF1(), mean_stats(differences), mean_stats(np.zeros(n)), RESAMPLER, question=question)


@pytest.mark.parametrize(
    ("mean", "outcome"),
    [
        (0.0, GateOutcome.PASS),
        (-0.009, GateOutcome.PASS),
        (-0.012, GateOutcome.UNDERPOWERED),
        (-0.028, GateOutcome.UNDERPOWERED),
        (-0.031, GateOutcome.FAIL),
    ],
)
def test_outcomes(mean: float, outcome: GateOutcome) -> None:
    assert decide([change(mean)], [True])[0].outcome is outcome
    assert decide([change(-mean, better=False)], [False])[0].outcome is outcome


@pytest.mark.parametrize("mean", np.linspace(-0.04, 0.0, 41))
def test_one_comparison_is_decided_by_its_interval(mean: float) -> None:
    comparison = change(mean)
    assert comparison.low is not None
    assert comparison.high is not None
    outcome = decide([comparison], [True])[0].outcome
    assert (outcome is GateOutcome.PASS) == (comparison.low > -0.02)
    assert (outcome is GateOutcome.FAIL) == (comparison.high < -0.02)


def test_an_underpowered_result_gives_the_n_needed() -> None:
    (result,) = decide([change(-0.012)], [True])
    assert result.n_needed == pairs_needed(0.1, 0.008, PowerPlan())
    assert decide([change(0.0)], [True])[0].n_needed is None


def test_a_family_fails_less_easily_and_passes_as_easily() -> None:
    just, fine = change(-0.031), change(0.0)
    family = decide([just, fine, fine, fine, fine], [True] * 5)
    assert [result.outcome for result in family] == [GateOutcome.UNDERPOWERED] + [GateOutcome.PASS] * 4


def test_a_comparison_without_interval_is_underpowered() -> None:
    nothing = compare(TokenF1(), mean_stats([0.5]), mean_stats([0.5]), RESAMPLER)
    equal = compare(TokenF1(), mean_stats([0.5] * 9), mean_stats([0.5] * 9), RESAMPLER)
    for result in decide([nothing, equal], [True, True]):
        assert (result.outcome, result.n_needed) == (GateOutcome.UNDERPOWERED, None)


@pytest.mark.parametrize(("n", "outcome"), [(100, GateOutcome.UNDERPOWERED), (500, GateOutcome.PASS)])
def test_equal_proportions_pass_once_there_are_enough(n: int, outcome: GateOutcome) -> None:
    zeros, question = mean_stats([0.0] * n), Question(threshold=-0.02)
    comparison = compare(ExactMatch(), zeros, zeros, RESAMPLER, question=question)
    assert decide([comparison], [True])[0].outcome is outcome


def test_a_negative_margin_is_refused() -> None:
    with pytest.raises(ValueError, match="margin of 0 or more"):
        threshold(-0.1, True)
