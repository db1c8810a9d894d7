"""Areas under curves are scikit-learn's, with ties of the rounded scores in random order."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from harness import registry
from harness.errors import ConfigError, DataError
from harness.metrics.ranking import LEVELS, Kind, Ranking
from harness.protocols import LikelihoodMetric, Metric
from harness.types import Completion, FinishReason, FloatArray, Likelihood
from tests.support.text_pairs import drawn, examples, replicated

LABELS = ["yes", "no", "Not sure", "n/a"]
AREAS = {"auroc": roc_auc_score, "auprc": average_precision_score}


def with_likelihoods(scores: FloatArray, labels: Sequence[str]) -> list[Completion]:
    """Return completions whose label's log-probabilities are `scores`, shape (n, labels)."""
    return [
        Completion(str(i), "", FinishReason.STOP, likelihoods={label: Likelihood(-s, 2, 0) for label, s in pairs})
        for i, row in enumerate(scores.tolist())
        for pairs in [list(zip(labels, row, strict=True))]
    ]


def draw(n: int, classes: int, spread: float, seed: int = 0) -> tuple[FloatArray, NDArray[np.intp]]:
    rng = np.random.default_rng((n, classes, seed))
    true = rng.integers(0, classes, n)
    return rng.normal(-3, spread, (n, classes)) + spread * np.eye(classes)[true], true


def odds(scores: FloatArray, label: int) -> FloatArray:
    return np.asarray(scores[:, label] - np.logaddexp.reduce(np.delete(scores, label, axis=1), axis=1))


def rounded(metric: Ranking, stats: FloatArray, label: int) -> FloatArray:
    cells = stats.reshape(len(stats), -1, 2, LEVELS)
    mirrored = label >= cells.shape[1]
    levels = cells[:, 0 if mirrored else label].sum(axis=1).argmax(axis=1)
    return np.asarray(LEVELS - 1 - levels if mirrored else levels, np.float64)


def areas(kind: Kind, true: NDArray[np.intp], scores: Sequence[FloatArray]) -> float:
    """Return scikit-learn's mean area of each label against the rest."""
    return float(np.mean([AREAS[kind](true == label, row) for label, row in enumerate(scores)]))


def measured(metric: Ranking, scores: FloatArray, true: NDArray[np.intp]) -> tuple[float, FloatArray]:
    labels = LABELS[: scores.shape[1]]
    stats = metric.stats(with_likelihoods(scores, labels), examples([labels[i] for i in true]))
    return float(metric.aggregate(stats.sum(axis=0))), stats


@pytest.mark.parametrize("kind", ["auroc", "auprc"])
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("spread", [0.5, 2.0, 8.0])
def test_scikit_learn_but_for_rounding(kind: Kind, classes: int, spread: float) -> None:
    scores, true = draw(400, classes, spread)
    area, _ = measured(Ranking(LABELS[:classes], kind), scores, true)
    assert area == pytest.approx(areas(kind, true, [odds(scores, i) for i in range(classes)]), abs=0.003)


@pytest.mark.parametrize(("n", "classes"), [(100, 2), (100, 4), (12, 2), (25, 3)])
def test_auroc_is_that_of_the_rounded_scores(n: int, classes: int) -> None:
    scores, true = draw(n, classes, 1.0)
    metric = Ranking(LABELS[:classes])
    area, stats = measured(metric, scores, true)
    levels = [rounded(metric, stats, label) for label in range(classes)]
    assert area == pytest.approx(areas("auroc", true, levels), abs=1e-12)
    rows = replicated(n)
    levels = [of_label[rows] for of_label in levels]
    assert float(metric.aggregate(drawn(rows, stats))) == pytest.approx(areas("auroc", true[rows], levels), abs=1e-12)


@pytest.mark.parametrize("scores", [(0, 0, 0, 0, 0, 0), (0, 0, 1, 1, 1, 2), (0, 1, 1, 3, 3, 3), (5, 4, 3, 2, 1, 0)])
def test_auprc_is_the_mean_over_all_orders_of_ties(scores: tuple[int, ...]) -> None:
    true = np.array([0, 1, 0, 1, 1, 0])
    metric = Ranking(LABELS[:2], "auprc", positive="no")
    area, _ = measured(metric, np.array([[0.0, float(score)] for score in scores]), true)
    orders = [np.array(scores) + 0.01 * np.array(order) for order in itertools.permutations(range(6))]
    assert area == pytest.approx(np.mean([average_precision_score(true, order) for order in orders]), abs=1e-12)


def test_one_label_against_the_rest() -> None:
    scores, true = draw(300, 3, 2.0)
    metric = Ranking(LABELS[:3], "auroc", positive="no")
    area, stats = measured(metric, scores, true)
    assert area == pytest.approx(roc_auc_score(true == 1, rounded(metric, stats, 0)), abs=1e-12)
    assert "positive:no" in metric.signature
    with pytest.raises(ConfigError, match=r"auprc\.positive: .*Did you mean 'not sure'"):
        Ranking(LABELS[:3], "auprc", positive="not sur")


@pytest.mark.parametrize("kind", ["auroc", "auprc"])
def test_perfect_useless_and_undefined(kind: Kind) -> None:
    metric, true = Ranking(LABELS[:2], kind), np.arange(2000) % 2
    for scores, expected in [(true, 1.0), (np.zeros(2000), 0.5)]:
        area, stats = measured(metric, np.column_stack([np.zeros(2000), scores]), true)
        assert area == pytest.approx(expected, abs=0.003)
    assert np.isnan(metric.aggregate(stats[true == 1].sum(axis=0)))
    assert np.isnan(metric.per_example(stats)).all()


def test_contract() -> None:
    scores, true = draw(20, 4, 2.0)
    completions, rows = with_likelihoods(scores, LABELS), examples([LABELS[i] for i in true])
    metric = registry.metric("auroc", {}, LABELS)
    assert isinstance(metric, Metric)
    assert isinstance(metric, LikelihoodMetric)
    stats = metric.stats(completions, rows)
    assert stats.shape == (20, 4 * 2 * LEVELS)
    np.testing.assert_array_equal(metric.stats(completions[5:8], rows[5:8]), stats[5:8])
    assert metric.aggregate(np.ones((2, 3, stats.shape[1]))).shape == (2, 3)
    assert metric.stats([], []).shape == (0, stats.shape[1])
    with pytest.raises(DataError, match="Unknown label 'maybe'"):
        metric.stats(completions[:1], examples(["maybe"]))
    with pytest.raises(ConfigError, match="labels"):
        registry.metric("auroc", {})
