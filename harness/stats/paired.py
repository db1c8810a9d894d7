"""Comparing systems on the same examples, where most of the noise is shared and cancels.

Both resampling schemes act on rows of sufficient statistics, so they hold for corpus metrics as for means: the
bootstrap draws the same examples for both systems (Koehn, 2004, https://aclanthology.org/W04-3250/), and the
permutation test swaps the two systems' rows where a coin falls heads, which for a mean flips the sign of the
difference (approximate randomization: Riezler and Maxwell, 2005, https://aclanthology.org/W05-0908/).

The interval is the widened percentile bootstrap: for differences BCa is too narrow at small n, as
`benchmarks/evidence/coverage.py` shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from harness.errors import StoreError
from harness.protocols import Metric
from harness.stats.bootstrap import Resampler, cluster_sums, jackknife_error, leave_one_out
from harness.stats.comparison import Comparison, Question, Sample
from harness.stats.confidence import percentile
from harness.stats.intervals import FLAT
from harness.stats.proportions import Tango, mcnemar
from harness.types import FloatArray


def compare(
    metric: Metric,
    first: FloatArray,
    second: FloatArray,
    resampler: Resampler,
    clusters: ArrayLike | None = None,
    question: Question | None = None,
) -> Comparison:
    """Compare two systems from their statistics, shape (n, k), on the same n examples in the same order."""
    return compare_all(metric, (first, second), resampler, clusters, question)[0]


def compare_all(
    metric: Metric,
    systems: Sequence[FloatArray],
    resampler: Resampler,
    clusters: ArrayLike | None = None,
    question: Question | None = None,
) -> tuple[Comparison, ...]:
    """Compare every pair of systems, in the order of `itertools.combinations`, with one set of draws for all.

    Each system has statistics of shape (n, k) on the same n examples; `clusters`, shape (n,), labels those that belong
    together. Where examples count 0 or 1 and are independent, it is Tango's interval and McNemar's mid-p test.
    StoreError when the systems' examples cannot be the same.
    """
    if len({each.shape for each in systems}) > 1:
        raise StoreError(
            f"Expected runs on the same examples, got {' and '.join(str(len(each)) for each in systems)} of them. "
            "Compare them on the examples that they share, or as unpaired."
        )
    question = question or Question()
    pairs = list(combinations(range(len(systems)), 2))
    if metric.is_proportion and clusters is None:
        values = [metric.per_example(each) for each in systems]
        return tuple(_binary(values[i] - values[j], question) for i, j in pairs)
    rows = np.stack(systems, axis=1)
    units = cluster_sums(rows, clusters)
    of = f"{len(units)} {'examples' if clusters is None else 'clusters'}"
    sample = Sample(n=len(rows), units=len(units), of=of)
    if len(units) < 2:
        reason = f"none: {of}"
        return tuple(Comparison(sample, question, None, reason, reason) for _ in pairs)
    draws = _Draws.make(metric, units, resampler)
    return tuple(draws.compare(pair, sample, question) for pair in pairs)


def _binary(differences: FloatArray, question: Question) -> Comparison:
    counted = differences[np.isfinite(differences)]
    n = len(counted)
    sample = Sample(n=n, units=n, of=f"{n} examples")
    if n < 2:
        reason = f"none: {n} examples"
        return Comparison(sample, question, None, reason, reason)
    higher, lower = (int(np.count_nonzero(counted == sign)) for sign in (1, -1))
    return Comparison(
        sample,
        question,
        difference=(higher - lower) / n,
        method=f"tango, {n} examples",
        test="mcnemar mid-p",
        p=mcnemar(higher, lower)[1],
        error=float(counted.std(ddof=1)) / n**0.5,
    ).bounded(Tango(higher, lower, n))


@dataclass(frozen=True, slots=True)
class _Draws:
    """The draws that all pairs of M systems share; S resamples, P permutations, U units, k statistics."""

    metric: Metric
    sums: FloatArray
    """Shape (M, k)."""
    scores: FloatArray
    """Shape (S, M)."""
    leave_out: FloatArray
    """Shape (U, M)."""
    coin_sums: FloatArray
    """Shape (P, M, k)."""

    @classmethod
    def make(cls, metric: Metric, units: FloatArray, resampler: Resampler) -> _Draws:
        return cls(
            metric,
            sums=units.sum(axis=0),
            scores=metric.aggregate(resampler.sums(units)),
            leave_out=metric.aggregate(leave_one_out(units)),
            coin_sums=resampler.coin_sums(units),
        )

    def compare(self, pair: tuple[int, int], sample: Sample, question: Question) -> Comparison:
        i, j = pair
        totals = self.metric.aggregate(self.sums)
        difference = float(totals[i] - totals[j])
        scores, leave_out = self.scores[:, i] - self.scores[:, j], self.leave_out[:, i] - self.leave_out[:, j]
        if not (np.isfinite(scores).all() and np.isfinite(leave_out).all()):
            reason = f"none: undefined for some resamples of {sample.of}"
            return Comparison(sample, question, difference if np.isfinite(difference) else None, reason, reason)
        p, test = self._permutation_p(pair, difference), f"permutation, {len(self.coin_sums)} swaps"
        if np.ptp(leave_out) <= FLAT * np.abs(totals[[i, j]]).max():
            return Comparison(sample, question, difference, f"none: {sample.of} that all differ equally", test, p=p)
        return Comparison(
            sample,
            question,
            difference,
            method=f"percentile, {len(scores)} resamples of {sample.of}",
            test=test,
            p=p,
            p_bootstrap=share_as_large(scores - difference, difference),
            error=float(jackknife_error(leave_out)),
        ).bounded(percentile(scores, degrees=sample.units - 1))

    def _permutation_p(self, pair: tuple[int, int], difference: float) -> float:
        i, j = pair
        moved = self.coin_sums[:, i] - self.coin_sums[:, j]
        swapped = self.metric.aggregate(self.sums[j] + moved) - self.metric.aggregate(self.sums[i] - moved)
        return share_as_large(swapped, difference)


def share_as_large(chance: FloatArray, difference: float) -> float:
    """Return the p-value of `difference` among differences by `chance`, counting itself as one of them.

    Counting itself keeps the test's level: Phipson and Smyth (2010), Permutation p-values should never be zero.
    """
    as_large = np.count_nonzero(np.abs(chance) >= abs(difference) * (1 - 1e-9))
    return float((1 + as_large) / (1 + len(chance)))
