"""Areas under curves are scikit-learn's on the rounded scores exactly, and on the scores themselves very nearly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from harness import build
from harness.errors import ConfigError, DataError
from harness.metrics.ranking import LEVELS, Kind, Ranking
from harness.protocols import LikelihoodMetric, Metric
from harness.types import Completion, FinishReason, FloatArray, Likelihood
from tests.metrics.pairs import drawn, examples, replicated

LABELS = ["yes", "no", "Not sure", "n/a"]
AREAS = {"auroc": roc_auc_score, "auprc": average_precision_score}


def told(scores: FloatArray, labels: Sequence[str]) -> list[Completion]:
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


@pytest.mark.parametrize("kind", ["auroc", "auprc"])
@pytest.mark.parametrize(("n", "classes"), [(400, 2), (400, 4), (12, 2), (25, 3)])
@pytest.mark.parametrize("spread", [0.5, 2.0, 8.0])
def test_scikit_learn(kind: Kind, n: int, classes: int, spread: float) -> None:
    scores, true = draw(n, classes, spread)
    metric = Ranking(LABELS[:classes], kind)
    stats = metric.stats(told(scores, LABELS[:classes]), examples([LABELS[i] for i in true]))
    found = float(metric.aggregate(stats.sum(axis=0)))
    area = AREAS[kind]
    exact = [area(true == label, rounded(metric, stats, label)) for label in range(classes)]
    assert found == pytest.approx(float(np.mean(exact)), abs=1e-12)
    nearly = [area(true == label, odds(scores, label)) for label in range(classes)]
    assert found == pytest.approx(float(np.mean(nearly)), abs=0.005 if n >= 400 else 0.05)


@pytest.mark.parametrize("kind", ["auroc", "auprc"])
def test_a_resample_of_sums_is_the_score_of_the_resample(kind: Kind) -> None:
    scores, true = draw(60, 2, 1.0)
    metric = Ranking(LABELS[:2], kind)
    stats = metric.stats(told(scores, LABELS[:2]), examples([LABELS[i] for i in true]))
    rows = replicated(60)
    expected = [AREAS[kind](true[rows] == label, rounded(metric, stats[rows], label)) for label in (0, 1)]
    assert float(metric.aggregate(drawn(rows, stats))) == pytest.approx(float(np.mean(expected)), abs=1e-12)


def test_one_label_against_the_rest() -> None:
    scores, true = draw(300, 3, 2.0)
    metric = Ranking(LABELS[:3], "auprc", positive="no")
    stats = metric.stats(told(scores, LABELS[:3]), examples([LABELS[i] for i in true]))
    expected = average_precision_score(true == 1, rounded(metric, stats, 0))
    assert float(metric.aggregate(stats.sum(axis=0))) == pytest.approx(expected, abs=1e-12)
    assert "positive:no" in metric.signature
    with pytest.raises(ConfigError, match=r"auprc\.positive: .*Did you mean 'not sure'"):
        Ranking(LABELS[:3], "auprc", positive="not sur")


def test_perfect_useless_and_undefined() -> None:
    for kind in ("auroc", "auprc"):
        metric = build.metric(kind, {}, LABELS[:2])
        rows = examples(["yes", "yes", "no", "no"])
        for scores, area in [((0, 1, -1, -2), 1.0), ((1, 1, 1, 1), 0.5)]:
            pairs = np.array([[score, 0.0] for score in scores])
            stats = metric.stats(told(pairs, LABELS[:2]), rows)
            assert float(metric.aggregate(stats.sum(axis=0))) == area
        assert np.isnan(metric.aggregate(stats[:2].sum(axis=0)))
        assert np.isnan(metric.per_example(stats)).all()


def test_contract() -> None:
    scores, true = draw(20, 4, 2.0)
    completions, rows = told(scores, LABELS), examples([LABELS[i] for i in true])
    metric = build.metric("auroc", {}, LABELS)
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
        build.metric("auroc", {})
