"""Bootstrap resamples and coin flips that many systems and metrics share: one matrix product for all of them.

Systems are compared pair by pair from the same draws, which is what pairs them; metrics stand side by side in one
matrix, because drawing, and not multiplying, is what a single metric's comparison takes most of its time for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from harness.protocols import Metric
from harness.stats.bootstrap import Resampler, cluster_sums, degrees_of_freedom, jackknife_error, leave_one_out
from harness.stats.comparison import Comparison, Question, Sample
from harness.stats.distributions import percentile
from harness.stats.intervals import FLAT
from harness.types import FloatArray

SUMS_BYTES = 256 * 2**20
"""Sums over coin flips that are held at a time."""

Systems = tuple[Metric, Sequence[FloatArray]]
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
        scores, jackknife_scores = (
            self.scores[:, i] - self.scores[:, j],
            self.jackknife_scores[:, i] - self.jackknife_scores[:, j],
        )
        if not (np.isfinite(scores).all() and np.isfinite(jackknife_scores).all()):
            reason = f"none: undefined for some resamples of {sample.of}"
            return Comparison(sample, question, difference if np.isfinite(difference) else None, reason, reason)
        p, test = self._permutation_p(pair, difference), f"permutation, {len(self.coin_sums)} swaps"
        if np.ptp(jackknife_scores) <= FLAT * np.abs(totals[[i, j]]).max():
            return Comparison(sample, question, difference, f"none: {sample.of} that all differ equally", test, p=p)
        return Comparison(
            sample,
            question,
            difference,
            method=f"percentile, {len(scores)} resamples of {sample.of}",
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


def draws(metrics: Sequence[Systems], resampler: Resampler, clusters: ArrayLike | None = None) -> Iterator[Draws]:
    """Yield the draws of each metric; as many metrics as fit into memory are drawn for at once."""
    together: list[Systems] = []
    columns = 0
    for each in metrics:
        wide = sum(stats.shape[1] for stats in each[1])
        if together and 8 * resampler.permutations * (columns + wide) > SUMS_BYTES:
            yield from _drawn(together, resampler, clusters)
            together, columns = [], 0
        together.append(each)
        columns += wide
    if together:
        yield from _drawn(together, resampler, clusters)


def _drawn(metrics: Sequence[Systems], resampler: Resampler, clusters: ArrayLike | None) -> Iterator[Draws]:
    rows = np.concatenate([np.stack(systems, axis=1) for _, systems in metrics], axis=2)
    units = cluster_sums(rows, clusters)
    of = f"{len(units)} {'examples' if clusters is None else 'clusters'}"
    sample = Sample(n=len(rows), units=len(units), of=of)
    ends = np.cumsum([systems[0].shape[1] for _, systems in metrics])[:-1]
    few = len(units) < 2
    sums, coin_sums = (units, units) if few else (resampler.sums(units), resampler.coin_sums(units))
    parts = (np.split(each, ends, axis=2) for each in (units, sums, coin_sums))
    for (metric, _), own, resampled, coins in zip(metrics, *parts, strict=True):
        yield Draws(
            metric,
            sample,
            sums=own.sum(axis=0),
            scores=metric.aggregate(resampled),
            jackknife_scores=metric.aggregate(leave_one_out(own)),
            coin_sums=coins,
        )


def permutation_p_value(chance: FloatArray, difference: float) -> float:
    """Return the p-value of `difference` among differences by `chance`, counting itself as one of them.

    Counting itself keeps the test's level: Phipson and Smyth (2010), Permutation p-values should never be zero.
    """
    as_large = np.count_nonzero(np.abs(chance) >= abs(difference) * (1 - 1e-9))
    return float((1 + as_large) / (1 + len(chance)))
