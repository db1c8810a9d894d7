"""Bootstrap resamples and coin flips that many systems and metrics share: one matrix product for all of them.

All pairs of systems are compared from the same draws, which pairs them. Metrics are columns of one matrix, because a
single metric's comparison spends most of its time on drawing, not on multiplying.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from harness.protocols import Metric
from harness.stats.bootstrap import (
    Resampler,
    cluster_sums,
    degrees_of_freedom,
    jackknife_error,
    leave_one_out,
    unit_text,
)
from harness.stats.comparison import Comparison, Question, Sample
from harness.stats.distributions import percentile
from harness.stats.intervals import RELATIVE_TOLERANCE
from harness.types import FloatArray
from harness.wording import counted

SUMS_BYTES = 256 * 2**20
"""Limit on the sums over coin flips that are in memory at a time."""

MetricSystems = tuple[Metric, Sequence[FloatArray]]
"""A metric, and every system's statistics of shape (n, k) on the same n examples."""


@dataclass(frozen=True, slots=True)
class Draws:
    """The draws that all pairs of M systems share; S resamples, P permutations, U units, k statistics."""

    metric: Metric
    sample: Sample
    sums: FloatArray
    """Shape (M, k)."""
    scores: FloatArray
    """Shape (S, M)."""
    jackknife_scores: FloatArray
    """Shape (U, M)."""
    coin_sums: FloatArray
    """Shape (P, M, k)."""

    def compare(self, pair: tuple[int, int], question: Question) -> Comparison:
        """Compare the systems at two positions."""
        sample = self.sample
        if sample.units < 2:
            reason = f"none: {sample.of}"
            return Comparison(sample, question, None, reason, reason)
        i, j = pair
        totals = self.metric.aggregate(self.sums)
        difference = float(totals[i] - totals[j])
        scores = self.scores[:, i] - self.scores[:, j]
        jackknife_scores = self.jackknife_scores[:, i] - self.jackknife_scores[:, j]
        if not (np.isfinite(scores).all() and np.isfinite(jackknife_scores).all()):
            reason = f"none: undefined for some resamples of {sample.of}"
            return Comparison(sample, question, difference if np.isfinite(difference) else None, reason, reason)
        p = self._permutation_p(pair, difference)
        test = f"permutation test, {counted(len(self.coin_sums), 'permutation')}"
        if np.ptp(jackknife_scores) <= RELATIVE_TOLERANCE * np.abs(totals[[i, j]]).max():
            return Comparison(sample, question, difference, f"none: {sample.of} with equal differences", test, p=p)
        return Comparison(
            sample,
            question,
            difference,
            method=f"percentile, {counted(len(scores), 'resample')} of {sample.of}",
            test=test,
            p=p,
            p_bootstrap=permutation_p_value(scores - difference, difference),
            standard_error=float(jackknife_error(jackknife_scores)),
        ).bounded(percentile(scores, degrees_of_freedom(jackknife_scores)))

    def _permutation_p(self, pair: tuple[int, int], difference: float) -> float:
        i, j = pair
        moved = self.coin_sums[:, i] - self.coin_sums[:, j]
        swapped = self.metric.aggregate(self.sums[j] + moved) - self.metric.aggregate(self.sums[i] - moved)
        return permutation_p_value(swapped, difference)


def draws(metrics: Sequence[MetricSystems], resampler: Resampler, clusters: ArrayLike | None = None) -> Iterator[Draws]:
    """Yield the draws of each metric; as many metrics as fit into memory share one matrix product."""
    batch: list[MetricSystems] = []
    n_columns = 0
    for metric, systems in metrics:
        n_new = sum(stats.shape[1] for stats in systems)
        if batch and 8 * resampler.permutations * (n_columns + n_new) > SUMS_BYTES:
            yield from _draw(batch, resampler, clusters)
            batch, n_columns = [], 0
        batch.append((metric, systems))
        n_columns += n_new
    if batch:
        yield from _draw(batch, resampler, clusters)


def _draw(metrics: Sequence[MetricSystems], resampler: Resampler, clusters: ArrayLike | None) -> Iterator[Draws]:
    rows = np.concatenate([np.stack(systems, axis=1) for _, systems in metrics], axis=2)
    units = cluster_sums(rows, clusters)
    sample = Sample(n=len(rows), units=len(units), of=unit_text(len(units), clusters))
    ends = np.cumsum([systems[0].shape[1] for _, systems in metrics])[:-1]
    too_few = len(units) < 2
    sums, coin_sums = (units, units) if too_few else (resampler.sums(units), resampler.coin_sums(units))
    by_metric = (np.split(columns, ends, axis=2) for columns in (units, sums, coin_sums))
    for (metric, _), own, resampled, coins in zip(metrics, *by_metric, strict=True):
        yield Draws(
            metric,
            sample,
            sums=own.sum(axis=0),
            scores=metric.aggregate(resampled),
            jackknife_scores=metric.aggregate(leave_one_out(own)),
            coin_sums=coins,
        )


def permutation_p_value(null: FloatArray, difference: float) -> float:
    """Return the two-sided p-value of `difference` among those under the null hypothesis, `null`, shape (P,).

    The observed difference counts as one of them, which keeps the test's level: Phipson and Smyth (2010), Permutation
    p-values should never be zero.
    """
    as_large = np.count_nonzero(np.abs(null) >= abs(difference) * (1 - 1e-9))
    return float((1 + as_large) / (1 + len(null)))
