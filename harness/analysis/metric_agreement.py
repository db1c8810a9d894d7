"""Rank correlations between metrics, and the metrics that are redundant because they rank everything alike.

Two metrics agree over runs if they rank the runs alike, and over examples if they rank the examples of a run alike. A
leaderboard depends on the first, which is unreliable with few runs; the second is based on every example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from harness.analysis.comparisons import Aligned
from harness.protocols import Metric
from harness.stats.comparison import direction
from harness.types import FloatArray

SAME_OVER_RUNS = 0.95
SAME_OVER_EXAMPLES = 0.9
"""Metrics whose rank correlations are all at least these are redundant."""
MIN_RUNS = 5
"""With fewer runs their rank correlation is unreliable: two rankings of four runs agree by chance once in 24."""

Matrix = tuple[tuple[float | None, ...], ...]
"""A value for every two metrics, in the order of `MetricAgreement.metrics`; None if a metric does not vary."""


@dataclass(frozen=True, slots=True)
class RedundantMetrics:
    """Metrics that agree, and the one to keep: the primary one, or else the one that separates most pairs of runs."""

    metrics: tuple[str, ...]
    keep: str


@dataclass(frozen=True, slots=True)
class NearestMetric:
    """The metric most correlated with another one, and its rank correlations with it."""

    metric: str
    over_examples: float
    over_runs: float | None


@dataclass(frozen=True, slots=True)
class MetricAgreement:
    """Spearman's rank correlation of every two metrics; 1 if they fully agree on what is better."""

    metrics: tuple[str, ...]
    runs: int
    examples: int
    over_runs: Matrix
    """Correlations of the runs' scores."""
    over_examples: Matrix
    """Correlations of the examples' scores within a run, averaged over the runs in which both vary."""
    redundant: tuple[RedundantMetrics, ...]

    @property
    def has_few_runs(self) -> bool:
        """Whether there are too few runs to rely on `over_runs`."""
        return self.runs < MIN_RUNS

    def nearest(self, metric: str) -> NearestMetric | None:
        """Return the metric that agrees most with this one over examples; None if it does not vary."""
        if metric not in self.metrics:
            return None
        i = self.metrics.index(metric)
        others = [
            NearestMetric(name, correlation, self.over_runs[i][j])
            for j, name in enumerate(self.metrics)
            if j != i and (correlation := self.over_examples[i][j]) is not None
        ]
        return max(others, key=lambda other: other.over_examples, default=None)


def agreement(
    aligned: Aligned, metrics: Sequence[Metric], separated: Sequence[int], primary: str
) -> MetricAgreement | None:
    """Return how far the metrics agree, None for a single one; `separated` counts each one's significant pairs."""
    if len(metrics) < 2 or aligned.n < 2:
        return None
    signs = np.array([direction(metric.higher_is_better) for metric in metrics])
    systems = [aligned.stats(metric.name) for metric in metrics]
    scores = np.array([[m.aggregate(s.sum(axis=0)) for s in own] for m, own in zip(metrics, systems, strict=True)])
    within = [
        spearman(signs[:, None] * np.stack([m.per_example(own[run]) for m, own in zip(metrics, systems, strict=True)]))
        for run in range(len(aligned.runs))
    ]
    over_runs, over_examples = spearman(signs[:, None] * scores), _mean(np.stack(within))
    names = tuple(metric.name for metric in metrics)
    same = np.nan_to_num(over_examples) >= SAME_OVER_EXAMPLES
    if len(aligned.runs) >= MIN_RUNS:
        same &= np.nan_to_num(over_runs) >= SAME_OVER_RUNS
    directed = np.array([metric.higher_is_better is not None for metric in metrics])
    same &= directed & directed[:, None]  # a diagnostic measures something else, whatever it correlates with
    redundant = _groups(names, same, dict(zip(names, separated, strict=True)), primary)
    return MetricAgreement(
        names, len(aligned.runs), aligned.n, _matrix(over_runs), _matrix(over_examples), tuple(redundant)
    )


def spearman(values: FloatArray) -> FloatArray:
    """Return the rank correlation of every two rows of `values`, shape (m, n) to (m, m).

    A nan is left out of the correlations of its row. The result is nan where a row does not vary. Ties have their mean
    rank, as in scipy.stats.spearmanr.
    """
    known = np.isfinite(values)
    correlations = np.full((len(values), len(values)), np.nan)
    whole = known.all(axis=1)
    correlations[np.ix_(whole, whole)] = _correlations(values[whole])
    for i in np.flatnonzero(~whole):
        for j in range(len(values)):
            both = known[i] & known[j]
            pair = np.stack([values[i, both], values[j, both]])
            correlations[i, j] = correlations[j, i] = _correlations(pair)[0, 1]
    return correlations


def _correlations(values: FloatArray) -> FloatArray:
    if values.shape[1] < 2:
        return np.full((len(values), len(values)), np.nan)
    ranks = rankdata(values, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    length = np.sqrt((ranks**2).sum(axis=1))
    unit = np.where(length[:, None] > 0, ranks / np.where(length > 0, length, 1.0)[:, None], np.nan)
    return np.asarray(np.clip(unit @ unit.T, -1.0, 1.0))


def _mean(matrices: FloatArray) -> FloatArray:
    """Average matrices, shape (runs, m, m), without nan; nan where all are nan."""
    known = np.isfinite(matrices)
    n_known = known.sum(axis=0)
    totals = np.where(known, matrices, 0.0).sum(axis=0)
    return np.where(n_known > 0, totals / np.maximum(n_known, 1), np.nan)


def _groups(
    names: Sequence[str], same: NDArray[np.bool_], separated: dict[str, int], primary: str
) -> list[RedundantMetrics]:
    """Return groups in which every metric agrees with every other one, the strongest metrics first."""
    order = sorted(range(len(names)), key=lambda i: (names[i] != primary, -separated[names[i]], i))
    groups, taken = [], set[int]()
    for first in order:
        if first in taken:
            continue
        group = [first]
        for other in order:
            if other not in taken and other != first and all(same[other, member] for member in group):
                group.append(other)
        taken.update(group)
        if len(group) > 1:
            groups.append(RedundantMetrics(tuple(names[i] for i in sorted(group)), names[first]))
    return groups


def _matrix(values: FloatArray) -> Matrix:
    return tuple(tuple(None if np.isnan(v) else float(v) for v in row) for row in values)
