"""The decision rule of the verdict, case by case, on comparisons with known numbers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import scipy.stats
import statsmodels.stats.multitest
import statsmodels.stats.power

from harness.analysis.verdict_rule import KEEP, NOT_ENOUGH, SHIP, PairwiseStanding, decide, with_failures_wrong
from harness.stats.comparison import Comparison, Question, Sample
from harness.types import MetricResult, Score

N = 100
Pair = tuple[int, int]


def pair(difference: float, p: float, half_width: float = 0.05) -> Comparison:
    """A comparison with a symmetric interval and a deviation of 0.25."""
    return Comparison(
        Sample(N, N, "100 examples"),
        Question(0.95),
        difference,
        "method",
        "test",
        low=difference - half_width,
        high=difference + half_width,
        p=p,
        standard_error=0.025,
    )


def standing(pairs: Mapping[Pair, Comparison], sign: int = 1) -> PairwiseStanding:
    runs = {run for positions in pairs for run in positions}
    return PairwiseStanding(tuple(sorted(runs)), pairs, sign)


CLEAR, NEAR, LEVEL = pair(0.1, 0.0001), pair(0.02, 0.4), pair(0.0, 1.0)


@pytest.mark.parametrize(
    ("pairs", "incumbent", "useful", "kind", "run", "against"),
    [
        ({(0, 1): CLEAR}, None, 0.0, SHIP, 0, 1),
        ({(0, 1): NEAR}, None, 0.0, NOT_ENOUGH, 0, 1),
        ({(0, 1): NEAR}, None, 0.04, SHIP, 0, 1),  # 1 can be ahead by 0.03
        ({(0, 1): NEAR}, None, 0.02, NOT_ENOUGH, 0, 1),
        ({(0, 1): CLEAR}, 1, 0.0, SHIP, 0, 1),
        ({(0, 1): CLEAR}, 0, 0.0, KEEP, 0, 1),
        ({(0, 1): NEAR}, 1, 0.0, NOT_ENOUGH, 0, 1),
        ({(0, 1): NEAR}, 1, 0.08, KEEP, 1, 0),  # 0 can be ahead by 0.07
        ({(0, 1): NEAR}, 1, 0.06, NOT_ENOUGH, 0, 1),
        ({(0, 1): NEAR}, 0, 0.0, NOT_ENOUGH, 1, 0),
        ({(0, 1): NEAR}, 0, 0.04, KEEP, 0, 1),
    ],
)
def test_two_runs(
    pairs: Mapping[Pair, Comparison], incumbent: int | None, useful: float, kind: str, run: int, against: int
) -> None:
    decision = decide(standing(pairs), incumbent, useful)
    assert (decision.kind, decision.run) == (kind, run)
    assert {decision.lead.run, decision.lead.against} == {run, against}


def test_the_rule_is_the_same_where_lower_is_better() -> None:
    lower = {(0, 1): pair(-0.1, 0.0001)}
    assert decide(standing(lower, sign=-1), None, 0.0).kind == SHIP
    assert decide(standing(lower, sign=-1), 1, 0.0).kind == SHIP
    assert decide(standing(lower, sign=-1), 0, 0.0).kind == KEEP
    assert decide(standing({(0, 1): pair(-0.02, 0.4)}, sign=-1), 1, 0.08).kind == KEEP


def test_challengers_are_a_smaller_family_than_all_pairs() -> None:
    borderline = pair(0.06, 0.02)
    pairs = {(0, 1): NEAR, (0, 2): borderline, (1, 2): NEAR}
    p = [comparison.p for comparison in pairs.values()]
    assert statsmodels.stats.multitest.multipletests(p, method="holm")[1][1] > 0.05
    assert statsmodels.stats.multitest.multipletests([p[1], p[2]], method="holm")[1][0] < 0.05
    assert decide(standing(pairs), None, 0.0).kind == NOT_ENOUGH
    decision = decide(standing(pairs), 2, 0.0)
    assert (decision.kind, decision.run) == (SHIP, 0)
    assert decision.lead.p_adjusted == pytest.approx(0.04)


def test_a_shipped_run_has_its_ties() -> None:
    pairs = {(0, 1): NEAR, (0, 2): LEVEL, (0, 3): CLEAR, (1, 2): LEVEL, (1, 3): CLEAR, (2, 3): NEAR}
    decision = decide(standing(pairs), 3, 0.0)
    assert (decision.kind, decision.run, decision.ties) == (SHIP, 0, (1,))  # 2 is no better than the incumbent
    assert decide(standing(pairs), None, 0.0).ties == (1, 2)


def test_the_best_of_many_needs_more_evidence_than_a_run_named_beforehand() -> None:
    pairs = {
        positions: pair(0.0, 1.0, half_width=0.05) for positions in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
    }
    assert decide(standing(pairs), 0, 0.055).kind == KEEP
    assert decide(standing(pairs), None, 0.055).kind == NOT_ENOUGH
    bound = 0.05 * scipy.stats.norm.isf(0.025 / 3) / scipy.stats.norm.isf(0.025)
    decision = decide(standing(pairs), None, 0.065)
    assert decision.kind == SHIP
    assert decision.max_lead == pytest.approx(bound)


def test_one_challenger_that_may_be_better_prevents_keep() -> None:
    pairs = {(0, 1): NEAR, (0, 2): NEAR, (1, 2): pair(0.0, 1.0, half_width=0.01)}
    assert decide(standing(pairs), 2, 0.02).kind == NOT_ENOUGH
    assert decide(standing(pairs), 2, 0.08).kind == KEEP


def test_an_unknown_interval_is_not_enough_data() -> None:
    unknown = Comparison(Sample(1, 1, "1 example"), Question(0.95), 0.01, "none", "none")
    assert decide(standing({(0, 1): unknown}), 1, 10.0).kind == NOT_ENOUGH
    assert decide(standing({(0, 1): unknown}), None, 10.0).n_needed is None


def test_the_examples_needed_are_those_of_the_paired_t_test() -> None:
    plan = statsmodels.stats.power.TTestPower()
    shown = plan.solve_power(effect_size=0.02 / 0.25, alpha=0.05, power=0.8)
    assert decide(standing({(0, 1): NEAR}), None, 0.0).n_needed == pytest.approx(shown, rel=0.01)
    excluded = plan.solve_power(effect_size=(0.06 - 0.02) / 0.25, alpha=0.05, power=0.8)
    assert decide(standing({(0, 1): NEAR}), 1, 0.06).n_needed == pytest.approx(excluded, rel=0.01)
    pairs = {(0, 1): NEAR, (0, 2): NEAR, (1, 2): LEVEL}
    adjusted = plan.solve_power(effect_size=0.02 / 0.25, alpha=0.05 / 3, power=0.8)
    assert decide(standing(pairs), None, 0.0).n_needed == pytest.approx(adjusted, rel=0.01)


def result(value: float, worst: float | None = None) -> MetricResult:
    errors = 0 if worst is None else 10
    return MetricResult("m", "s", True, "i", Score(value, None, None, N - errors, errors, worst))


def test_failures_counted_as_wrong_can_change_the_verdict() -> None:
    original = standing({(0, 1): CLEAR})
    assert with_failures_wrong(original, [result(0.6), result(0.5)]) is None
    wrong = with_failures_wrong(original, [result(0.6, 0.54), result(0.5)])
    assert wrong is not None
    assert decide(wrong, None, 0.0).kind == NOT_ENOUGH
    worse = with_failures_wrong(original, [result(0.6, 0.4), result(0.5)])
    assert worse is not None
    turned = decide(worse, None, 0.0)
    assert (turned.kind, turned.run) == (SHIP, 1)
    assert turned.lead.comparison.difference == pytest.approx(0.1)
    assert turned.lead.comparison.p == pytest.approx(0.0000633, abs=1e-6)  # two-sided normal, z = 4
