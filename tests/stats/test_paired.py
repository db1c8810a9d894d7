"""Paired comparison against scipy, sacrebleu and enumeration."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.stats
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.significance import PairedTest
from statsmodels.stats.contingency_tables import mcnemar

from harness.errors import StoreError
from harness.metrics.base import mean_stats
from harness.metrics.bleu import Bleu
from harness.metrics.exact import ExactMatch, TokenF1
from harness.stats.bootstrap import Resampler
from harness.stats.comparison import Question
from harness.stats.paired import compare, compare_all, compare_metrics
from harness.stats.resampling import draws, permutation_p_value
from harness.types import Completion, Example, FinishReason

RESAMPLER = Resampler(0)
F1, EXACT = TokenF1(), ExactMatch()
RNG = np.random.default_rng(5)
FIRST = RNG.beta(2, 3, 150)
SECOND = np.clip(FIRST - 0.03 + 0.15 * RNG.normal(size=150), 0, 1)


def test_a_mean_agrees_with_the_t_test_and_its_effect_size() -> None:
    own = compare(F1, mean_stats(FIRST), mean_stats(SECOND), RESAMPLER)
    t = scipy.stats.ttest_rel(FIRST, SECOND)
    differences = FIRST - SECOND
    assert own.difference == pytest.approx(differences.mean())
    assert (own.low, own.high) == pytest.approx(tuple(t.confidence_interval()), abs=0.002)
    assert own.p == pytest.approx(t.pvalue, abs=0.005)
    assert own.p_bootstrap == pytest.approx(t.pvalue, abs=0.02)
    assert own.standard_error == pytest.approx(scipy.stats.sem(differences))
    assert own.sd_of_difference == pytest.approx(differences.std(ddof=1))
    assert own.effect == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert (own.sample.n, own.sample.units, own.sample.paired) == (150, 150, True)


def test_the_permutation_p_is_the_enumerated_one() -> None:
    differences = np.array([0.5, 0.25, -0.125, 0.75, 0.0, 0.25, 0.5, -0.25])
    flips = np.array(list(itertools.product([-1, 1], repeat=8)))
    exact = np.mean(np.abs(flips @ differences) >= abs(differences.sum()))
    own = compare(F1, mean_stats(differences), mean_stats(np.zeros(8)), Resampler(1, permutations=50_000))
    assert own.p == pytest.approx(exact, abs=0.006)


def test_a_proportion_gets_mcnemar_and_tango() -> None:
    first = np.array([1.0] * 40 + [0.0] * 20 + [1.0] * 50 + [0.0] * 50)
    second = np.array([0.0] * 40 + [1.0] * 20 + [1.0] * 50 + [0.0] * 50)
    own = compare(EXACT, mean_stats(first), mean_stats(second), RESAMPLER)
    assert own.p == pytest.approx(mcnemar([[50, 40], [20, 50]], exact=True).pvalue, abs=0.004)
    assert own.difference == 0.125
    assert (own.method, own.test) == ("tango, 160 examples", "mcnemar mid-p")
    assert own.low is not None
    assert own.low > 0


def sentences(n: int, damage: float, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    words = np.random.default_rng(0).integers(0, 50, (n, 12))
    return [" ".join(f"w{w}" for w in np.where(rng.random(12) < damage, rng.integers(0, 50, 12), row)) for row in words]


def test_bleu_agrees_with_sacrebleus_tests() -> None:
    references, baseline, system = sentences(120, 0, 1), sentences(120, 0.3, 2), sentences(120, 0.26, 3)
    bs, ar = (sacrebleu_results(kind, baseline, system, references) for kind in ("bs", "ar"))
    examples = [Example(str(i), "", text) for i, text in enumerate(references)]
    first, second = (
        Bleu().stats([Completion(str(i), text, FinishReason.STOP) for i, text in enumerate(texts)], examples)
        for texts in (system, baseline)
    )
    own = compare(Bleu(), first, second, RESAMPLER)
    assert own.difference == pytest.approx(bs[1].score - bs[0].score)
    assert own.p == pytest.approx(ar[1].p_value, abs=0.02)
    # Its bootstrap p-value centres absolute differences, so it is not two-sided; on our resamples it is the same.
    folded = np.abs(Bleu().aggregate(RESAMPLER.sums(first)) - Bleu().aggregate(RESAMPLER.sums(second)))
    assert np.mean(folded - folded.mean() > (bs[1].score - bs[0].score)) == pytest.approx(bs[1].p_value, abs=0.01)


def sacrebleu_results(kind: str, baseline: list[str], system: list[str], references: list[str]) -> list[Any]:
    named: list[tuple[str, Any]] = [("base", baseline), ("system", system)]
    return list(PairedTest(named, {"BLEU": BLEU(references=[references])}, None, kind, 4000)()[1]["BLEU"])


def test_all_pairs_at_once_are_the_pairs_one_by_one() -> None:
    systems = [mean_stats(FIRST), mean_stats(SECOND), mean_stats(FIRST[::-1])]
    together = compare_all(F1, systems, RESAMPLER)
    for (i, j), expected in zip(itertools.combinations(range(3), 2), together, strict=True):
        own = compare(F1, systems[i], systems[j], RESAMPLER)
        assert (own.p, own.method) == (expected.p, expected.method)
        assert (own.difference, own.low, own.high) == pytest.approx((expected.difference, expected.low, expected.high))


def test_swapping_the_systems_mirrors_the_answer() -> None:
    forth, back = (compare(F1, mean_stats(a), mean_stats(b), RESAMPLER) for a, b in ((FIRST, SECOND), (SECOND, FIRST)))
    assert (back.low, back.high) == (pytest.approx(-forth.high), pytest.approx(-forth.low))  # type: ignore[operator]
    assert back.p == pytest.approx(forth.p, abs=0.01)
    assert back.p_above == pytest.approx(forth.p_below, abs=1e-3)


def test_clusters_widen_as_copies_should() -> None:
    labels = np.repeat(np.arange(150), 4)
    copied = compare(F1, mean_stats(np.repeat(FIRST, 4)), mean_stats(np.repeat(SECOND, 4)), RESAMPLER, labels)
    single = compare(F1, mean_stats(FIRST), mean_stats(SECOND), RESAMPLER)
    assert (copied.low, copied.high, copied.p) == pytest.approx((single.low, single.high, single.p))
    assert (copied.sample.n, copied.sample.units) == (600, 150)


def test_clustered_proportions_are_resampled() -> None:
    own = compare(EXACT, mean_stats([1.0, 0.0] * 20), mean_stats([0.0, 0.0] * 20), RESAMPLER, [0, 1, 2, 3] * 10)
    assert own.test == "permutation test, 9,999 permutations"
    assert own.p == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("first", "second", "method", "p"),
    [
        ([], [], "none: 0 examples", None),
        ([0.5], [0.4], "none: 1 example", None),
        ([0.5] * 9, [0.5] * 9, "none: 9 examples with equal differences", 1.0),
        ([0.5] * 2, [0.3] * 2, "none: 2 examples with equal differences", 0.5),
        ([np.nan, 0.5], [0.1, 0.5], "none: undefined for some resamples of 2 examples", None),
    ],
)
def test_degenerate_input(first: list[float], second: list[float], method: str, p: float | None) -> None:
    own = compare(F1, mean_stats(first), mean_stats(second), RESAMPLER)
    assert (own.low, own.high, own.method, own.p_above, own.effect) == (None, None, method, None, None)
    assert own.p == (None if p is None else pytest.approx(p, abs=0.02))


@pytest.mark.parametrize(("values", "method"), [([], "none: 0 examples"), ([np.nan, 1.0], "none: 1 example")])
def test_degenerate_proportions(values: list[float], method: str) -> None:
    assert compare(EXACT, mean_stats(values), mean_stats(values), RESAMPLER).method == method


def test_equal_proportions_still_have_an_interval() -> None:
    own = compare(EXACT, mean_stats([0.0] * 100), mean_stats([0.0] * 100), RESAMPLER)
    assert (own.low, own.high) == pytest.approx((-0.037, 0.037), abs=1e-3)
    assert (own.p, own.effect) == (1.0, None)


def test_runs_on_other_examples_are_refused() -> None:
    with pytest.raises(StoreError, match="got 150 and 149 of them"):
        compare(F1, mean_stats(FIRST), mean_stats(FIRST[:-1]), RESAMPLER)


def test_an_impossible_confidence_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1, got 95"):
        Question(confidence=95)


def test_a_p_value_is_never_zero() -> None:
    assert permutation_p_value(np.zeros(99), 1.0) == 0.01


@pytest.mark.parametrize("clusters", [None, np.repeat(np.arange(50), 3)])
def test_several_metrics_at_once_equal_each_alone(clusters: np.ndarray | None) -> None:
    binary = [
        mean_stats((values > limit).astype(float)) for values, limit in ((FIRST, 0.5), (SECOND, 0.5), (FIRST, 0.4))
    ]
    means = [mean_stats(values) for values in (FIRST, SECOND, FIRST**2)]
    together = compare_metrics([F1, EXACT, F1], [means, binary, binary], RESAMPLER, clusters, pairs=[(0, 1), (2, 0)])
    for metric, systems, result in zip((F1, EXACT, F1), (means, binary, binary), together, strict=True):
        assert result.pairs[0].p == pytest.approx(compare(metric, systems[0], systems[1], RESAMPLER, clusters).p)
        alone = compare(metric, systems[2], systems[0], RESAMPLER, clusters)
        assert (result.pairs[1].difference, result.pairs[1].low) == pytest.approx((alone.difference, alone.low))


def test_duplicate_columns_are_multiplied_once_and_restored() -> None:
    systems = [mean_stats(values) for values in (FIRST, SECOND, FIRST)]
    [metric_draws] = draws([(F1, systems)], RESAMPLER)
    expected = F1.aggregate(RESAMPLER.sums(np.stack(systems, axis=1)))
    np.testing.assert_allclose(metric_draws.scores, expected)
    np.testing.assert_allclose(metric_draws.coin_sums, RESAMPLER.coin_sums(np.stack(systems, axis=1)))


def test_metrics_that_do_not_fit_into_memory_together_are_computed_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    systems = [mean_stats(values) for values in (FIRST, SECOND)]
    together = [metric_draws.scores for metric_draws in draws([(F1, systems)] * 3, RESAMPLER)]
    monkeypatch.setattr("harness.stats.resampling.SUMS_BYTES", 1)
    apart = [metric_draws.scores for metric_draws in draws([(F1, systems)] * 3, RESAMPLER)]
    np.testing.assert_allclose(together, apart)
