"""Comparing systems on the same examples, where most of the noise is shared and cancels.

Both resampling schemes act on rows of sufficient statistics, so they hold for corpus metrics as for means: the
bootstrap draws the same examples for both systems (Koehn, 2004, https://aclanthology.org/W04-3250/), and the
permutation test swaps the two systems' rows where a coin falls heads, which for a mean flips the sign of the
difference (approximate randomization: Riezler and Maxwell, 2005, https://aclanthology.org/W05-0908/).

The interval is the percentile bootstrap, widened for few rows and for errors that few rows make: BCa is too narrow
for differences, whose tails are heavy and not skewed. `python -m benchmarks.evidence` shows what it covers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from harness.errors import StoreError
from harness.protocols import Metric
from harness.stats.bootstrap import Resampler
from harness.stats.comparison import Comparison, Question, Sample
from harness.stats.proportions import Tango, mcnemar
from harness.stats.resampling import draws
from harness.types import FloatArray


@dataclass(frozen=True, slots=True)
class Compared:
    """Pairs of systems on one metric, and every system's resampled scores, shape (S, M), where there was resampling."""

    pairs: tuple[Comparison, ...]
    scores: FloatArray | None = None


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
    """Compare every pair of systems on one metric, in the order of `itertools.combinations`; see `compare_metrics`."""
    return compare_metrics([metric], [systems], resampler, clusters, question)[0].pairs


def compare_metrics(
    metrics: Sequence[Metric],
    systems: Sequence[Sequence[FloatArray]],
    resampler: Resampler,
    clusters: ArrayLike | None = None,
    question: Question | None = None,
    pairs: Sequence[tuple[int, int]] | None = None,
) -> tuple[Compared, ...]:
    """Compare pairs of systems on each metric, with one set of draws and one matrix product for all of them.

    `systems` holds, for each metric, every system's statistics of shape (n, k) on the same n examples; `clusters`,
    shape (n,), labels those that belong together; `pairs` defaults to all, in the order of `itertools.combinations`.
    Where examples count 0 or 1 and are independent, it is Tango's interval and McNemar's mid-p test. StoreError when
    the systems' examples cannot be the same.
    """
    for each in systems:
        if len({stats.shape for stats in each}) > 1:
            raise StoreError(
                f"Expected runs on the same examples, got {' and '.join(str(len(stats)) for stats in each)} of them. "
                "Compare them on the examples that they share, or as unpaired."
            )
    question = question or Question()
    asked = list(combinations(range(len(systems[0])), 2)) if pairs is None else pairs
    exact = [metric.is_proportion and clusters is None for metric in metrics]
    resampled = [(m, each) for m, each, is_exact in zip(metrics, systems, exact, strict=True) if not is_exact]
    drawn = draws(resampled, resampler, clusters)
    found = []
    for metric, each, is_exact in zip(metrics, systems, exact, strict=True):
        if is_exact:
            values = [metric.per_example(stats) for stats in each]
            found.append(Compared(tuple(_binary(values[i] - values[j], question) for i, j in asked)))
        else:
            its_own = next(drawn)
            scores = its_own.scores if its_own.sample.units > 1 else None
            found.append(Compared(tuple(its_own.compare(pair, question) for pair in asked), scores))
    return tuple(found)


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
        standard_error=float(counted.std(ddof=1)) / n**0.5,
    ).bounded(Tango(higher, lower, n))
