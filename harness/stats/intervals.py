"""Confidence intervals of scores: a binomial one for metrics of 0 or 1 per example, the bootstrap for all others.

The bootstrap is BCa, widened for few rows and for errors that depend on a few rows: `python -m benchmarks.evidence`
shows that it then keeps its confidence where the score is biased, skewed or heavy-tailed, as corpus scores are. An
interval that cannot be computed is None with a reason, never ±0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from harness.protocols import Metric
from harness.stats.bootstrap import Resampler, cluster_sums, degrees_of_freedom, leave_one_out, unit_text
from harness.stats.distributions import bca
from harness.stats.proportions import effective_size, wilson
from harness.types import FloatArray
from harness.wording import counted

RELATIVE_TOLERANCE = 1e-12
"""Scores whose relative difference is below this are equal up to rounding."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The bounds of a score and the method, or None and the reason why they cannot be computed."""

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

    `clusters`, shape (n,), labels examples that belong together. All metrics of one call share one matrix product with
    the resampling counts.
    """
    sizes = [len(rows) for rows in stats]
    if len(set(sizes)) > 1:
        raise ValueError(f"Expected the same examples for every metric, got {sizes} of them.")
    units = [cluster_sums(rows, clusters) for rows in stats]
    n_units = len(units[0]) if units else 0
    of = unit_text(n_units, clusters)
    if n_units < 2:
        return tuple(Interval(None, None, f"none: {of}") for _ in metrics)
    ends = np.cumsum([rows.shape[1] for rows in units])[:-1]
    sums = np.split(resampler.sums(np.concatenate(units, axis=1)), ends, axis=1)
    return tuple(
        _proportion(metric.per_example(stats[i]), clusters, confidence)
        if metric.is_proportion
        else _bootstrap(metric, units[i], sums[i], confidence, of)
        for i, metric in enumerate(metrics)
    )


def _proportion(values: FloatArray, clusters: ArrayLike | None, confidence: float) -> Interval:
    defined = np.isfinite(values)
    if not defined.any():
        return Interval(None, None, "none: the metric is undefined for all examples")
    values, method = values[defined], "wilson"
    size = float(len(values))
    if clusters is not None:
        size = effective_size(values, np.asarray(clusters)[defined], confidence)
        method = f"wilson, {counted(len(values), 'example')} with an effective size of {size:.0f}"
    return Interval(*wilson(float(values.mean()), size, confidence), method)


def _bootstrap(metric: Metric, units: FloatArray, sums: FloatArray, confidence: float, of: str) -> Interval:
    estimate, scores = float(metric.aggregate(units.sum(axis=0))), metric.aggregate(sums)
    jackknife_scores = metric.aggregate(leave_one_out(units))
    if not (np.isfinite(scores).all() and np.isfinite(jackknife_scores).all()):
        return Interval(None, None, f"none: undefined for some resamples of {of}")
    if np.ptp(jackknife_scores) <= RELATIVE_TOLERANCE * abs(estimate):
        return Interval(None, None, f"none: {of} with equal scores")
    degrees = degrees_of_freedom(jackknife_scores, skewness_corrected=True)
    low, high = bca(scores, estimate, jackknife_scores, degrees).interval(confidence)
    return Interval(low, high, f"bca, {counted(len(scores), 'resample')} of {of}")
