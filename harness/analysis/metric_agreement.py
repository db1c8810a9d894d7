"""Which metrics say the same, so that a reader need not weigh one opinion twice.

Two metrics agree over runs, when they rank the runs alike, and over examples, when within a run they rank the examples
alike. The first is what a leaderboard turns on but is weak with few runs; the second rests on every example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from harness.analysis.comparisons import Aligned
from harness.protocols import Metric
from harness.types import FloatArray

SAME_OVER_RUNS = 0.95
SAME_OVER_EXAMPLES = 0.9
"""Metrics whose rank correlations are all at least these say the same."""
ENOUGH_RUNS = 5
"""With fewer runs a rank correlation over them says nothing: of four runs, one order in 24 agrees by chance."""

Matrix = tuple[tuple[float | None, ...], ...]
"""A value for every two metrics, in the order of `Agreement.metrics`; None where a metric does not vary."""


@dataclass(frozen=True, slots=True)
class Redundant:
    """Metrics that say the same here, and the one to keep: the primary one, or that which separates most pairs."""

    metrics: tuple[str, ...]
    keep: str


@dataclass(frozen=True, slots=True)
class Nearest:
    """A metric, and its rank correlations with another one."""

    metric: str
    over_examples: float
    over_runs: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Spearman's rank correlation of every two metrics; 1 where they agree on what is better."""

    metrics: tuple[str, ...]
    runs: int
    examples: int
    over_runs: Matrix
    """Of the runs' scores."""
    over_examples: Matrix
    """Of the examples' scores within a run, averaged over the runs where both vary."""
    redundant: tuple[Redundant, ...]

    @property
    def has_few_runs(self) -> bool:
        """Whether there are too few runs to rely on `over_runs`."""
        return self.runs < ENOUGH_RUNS

    def nearest(self, metric: str) -> Nearest | None:
        """Return the metric that agrees most over examples with this one; None where it does not vary."""
        if metric not in self.metrics:
            return None
        i = self.metrics.index(metric)
        others = [
            Nearest(name, found, self.over_runs[i][j])
            for j, name in enumerate(self.metrics)
            if j != i and (found := self.over_examples[i][j]) is not None
        ]
        return max(others, key=lambda each: each.over_examples, default=None)


def agreement(aligned: Aligned, metrics: Sequence[Metric], separated: Sequence[int], primary: str) -> Agreement | None:
    """Return how far the metrics agree, None for one alone; `separated` counts the pairs that each tells apart."""
    if len(metrics) < 2 or aligned.n < 2:
        return None
    signs = np.array([-1.0 if metric.higher_is_better is False else 1.0 for metric in metrics])
    systems = [aligned.stats(metric.name) for metric in metrics]
    scores = np.array([[m.aggregate(s.sum(axis=0)) for s in own] for m, own in zip(metrics, systems, strict=True)])
    within = [
        spearman(signs[:, None] * np.stack([m.per_example(own[run]) for m, own in zip(metrics, systems, strict=True)]))
        for run in range(len(aligned.runs))
    ]
    over_runs, over_examples = spearman(signs[:, None] * scores), _mean(np.stack(within))
    names = tuple(metric.name for metric in metrics)
    same = np.nan_to_num(over_examples) >= SAME_OVER_EXAMPLES
    if len(aligned.runs) >= ENOUGH_RUNS:
        same &= np.nan_to_num(over_runs) >= SAME_OVER_RUNS
    judging = np.array([metric.higher_is_better is not None for metric in metrics])
    same &= judging & judging[:, None]  # a diagnostic says something else, whatever it goes along with
    redundant = _groups(names, same, dict(zip(names, separated, strict=True)), primary)
    return Agreement(names, len(aligned.runs), aligned.n, _matrix(over_runs), _matrix(over_examples), tuple(redundant))


def spearman(values: FloatArray) -> FloatArray:
    """Return the rank correlation of every two rows of `values`, shape (m, n) to (m, m).

    A nan does not count: it is left out of the pairs that its row is in. nan where a row does not vary. Ties have
    their mean rank: equal to scipy.stats.spearmanr.
    """
    known = np.isfinite(values)
    found = np.full((len(values), len(values)), np.nan)
    whole = known.all(axis=1)
    found[np.ix_(whole, whole)] = _correlations(values[whole])
    for i in np.flatnonzero(~whole):
        for j in range(len(values)):
            both = known[i] & known[j]
            pair = np.stack([values[i, both], values[j, both]])
            found[i, j] = found[j, i] = _correlations(pair)[0, 1]
    return found


def _correlations(values: FloatArray) -> FloatArray:
    if values.shape[1] < 2:
        return np.full((len(values), len(values)), np.nan)
    ranks = rankdata(values, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    length = np.sqrt((ranks**2).sum(axis=1))
    unit = np.where(length[:, None] > 0, ranks / np.where(length > 0, length, 1.0)[:, None], np.nan)
    return np.asarray(np.clip(unit @ unit.T, -1.0, 1.0))


def _mean(matrices: FloatArray) -> FloatArray:
    """Average matrices, shape (runs, m, m), leaving nan out; nan where nothing is left."""
    known = np.isfinite(matrices)
    counted = known.sum(axis=0)
    totals = np.where(known, matrices, 0.0).sum(axis=0)
    return np.where(counted > 0, totals / np.maximum(counted, 1), np.nan)


def _groups(names: Sequence[str], same: NDArray[np.bool_], separated: dict[str, int], primary: str) -> list[Redundant]:
    """Return groups in which every metric says the same as every other one, the strongest metrics first."""
    order = sorted(range(len(names)), key=lambda i: (names[i] != primary, -separated[names[i]], i))
    found, taken = [], set[int]()
    for first in order:
        if first in taken:
            continue
        group = [first]
        for other in order:
            if other not in taken and other != first and all(same[other, member] for member in group):
                group.append(other)
        taken.update(group)
        if len(group) > 1:
            found.append(Redundant(tuple(names[i] for i in sorted(group)), names[first]))
    return found


def _matrix(values: FloatArray) -> Matrix:
    return tuple(tuple(None if np.isnan(v) else float(v) for v in row) for row in values)
