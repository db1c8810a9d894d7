"""The interval that belongs to a score: a binomial one where examples count 0 or 1, else the bootstrap's.

The bootstrap is BCa, widened for few rows and for errors that few rows make: `python -m benchmarks.evidence` shows
that it then keeps its confidence where the score is biased, skewed or has heavy tails, as corpus scores do. An interval
that cannot be known is None with a reason, never ±0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from harness.protocols import Metric
from harness.stats.bootstrap import Resampler, cluster_sums, degrees_of_freedom, leave_one_out
from harness.stats.distributions import bca
from harness.stats.proportions import effective_size, wilson
from harness.types import FloatArray

FLAT = 1e-12
"""Scores that differ by less than this share of their size are equal but for rounding."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The bounds of a score, or None where they cannot be known, and the method or the reason."""

    low: float | None
    high: float | None
    method: str


def intervals(
    metrics: Sequence[Metric],
    stats: Sequence[FloatArray],
    resampler: Resampler,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> tuple[Interval, ...]:
    """Return the interval of each metric from its statistics, shape (n, k), on the same n examples.

    `clusters`, shape (n,), labels examples that belong together. All metrics share one product with the resampling
    counts: ask for them together.
    """
    if len({len(each) for each in stats}) > 1:
        raise ValueError(f"Expected the same examples for every metric, got {[len(each) for each in stats]} of them.")
    units = [cluster_sums(each, clusters) for each in stats]
    rows = len(units[0]) if units else 0
    of = f"{rows} {'examples' if clusters is None else 'clusters'}"
    if rows < 2:
        return tuple(Interval(None, None, f"none: {of}") for _ in metrics)
    ends = np.cumsum([each.shape[1] for each in units])[:-1]
    sums = np.split(resampler.sums(np.concatenate(units, axis=1)), ends, axis=1)
    return tuple(
        _proportion(metric.per_example(stats[i]), clusters, confidence)
        if metric.is_proportion
        else _bootstrap(metric, units[i], sums[i], confidence, of)
        for i, metric in enumerate(metrics)
    )


def _proportion(values: FloatArray, clusters: ArrayLike | None, confidence: float) -> Interval:
    counts = np.isfinite(values)
    if not counts.any():
        return Interval(None, None, "none: no example counts")
    values, method = values[counts], "wilson"
    size = float(len(values))
    if clusters is not None:
        size = effective_size(values, np.asarray(clusters)[counts], confidence)
        method = f"wilson, {len(values)} examples worth {size:.0f}"
    return Interval(*wilson(float(values.mean()), size, confidence), method)


def _bootstrap(metric: Metric, units: FloatArray, sums: FloatArray, confidence: float, of: str) -> Interval:
    estimate, scores = float(metric.aggregate(units.sum(axis=0))), metric.aggregate(sums)
    jackknife_scores = metric.aggregate(leave_one_out(units))
    if not (np.isfinite(scores).all() and np.isfinite(jackknife_scores).all()):
        return Interval(None, None, f"none: undefined for some resamples of {of}")
    if np.ptp(jackknife_scores) <= FLAT * abs(estimate):
        return Interval(None, None, f"none: {of} that all score the same")
    degrees = degrees_of_freedom(jackknife_scores, skewness_corrected=True)
    low, high = bca(scores, estimate, jackknife_scores, degrees).interval(confidence)
    return Interval(low, high, f"bca, {len(scores)} resamples of {of}")
