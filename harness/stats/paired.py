"""Paired comparison of systems on the same examples, where most of the noise is shared and cancels.

Both resampling schemes work on rows of sufficient statistics, so they hold for corpus metrics as for means: the
bootstrap draws the same examples for both systems (Koehn, 2004, https://aclanthology.org/W04-3250/), and the
permutation test swaps the two systems' rows where a coin shows heads, which for a mean flips the sign of the
difference (approximate randomization: Riezler and Maxwell, 2005, https://aclanthology.org/W05-0908/).

The interval is the percentile bootstrap, widened for few rows and for errors that depend on a few rows: BCa is too
narrow for differences, whose tails are heavy but not skewed. `python -m benchmarks.evidence` measures its coverage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from harness.errors import StoreError
from harness.protocols import Metric
from harness.stats.bootstrap import Resampler, unit_text
from harness.stats.comparison import Comparison, Question, Sample
from harness.stats.proportions import Tango, mcnemar
from harness.stats.resampling import draws
from harness.types import FloatArray


@dataclass(frozen=True, slots=True)
class PairedComparisons:
    """The compared pairs of systems on one metric, and the resampled scores of every system, shape (S, M), if any."""

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
) -> tuple[PairedComparisons, ...]:
    """Compare pairs of systems on each metric, with one set of draws and one matrix product for all of them.

    `systems` holds, for each metric, every system's statistics of shape (n, k) on the same n examples; `clusters`,
    shape (n,), labels examples that belong together; `pairs` defaults to all, in the order of
    `itertools.combinations`. Metrics of 0 or 1 per independent example get Tango's interval and McNemar's mid-p test.
    StoreError if the systems' numbers of examples differ.
    """
    for metric_stats in systems:
        _require_same_examples(metric_stats)
    question = question or Question()
    positions = list(combinations(range(len(systems[0])), 2)) if pairs is None else pairs
    rows = [
        (metric, metric_stats, metric.is_proportion and clusters is None)
        for metric, metric_stats in zip(metrics, systems, strict=True)
    ]
    all_draws = draws(
        [(metric, metric_stats) for metric, metric_stats, exact in rows if not exact], resampler, clusters
    )
    results = []
    for metric, metric_stats, exact in rows:
        if exact:
            values = [metric.per_example(stats) for stats in metric_stats]
            results.append(PairedComparisons(tuple(_binary(values[i] - values[j], question) for i, j in positions)))
        else:
            metric_draws = next(all_draws)
            scores = metric_draws.scores if metric_draws.sample.units > 1 else None
            compared = tuple(metric_draws.compare(pair, question) for pair in positions)
            results.append(PairedComparisons(compared, scores))
    return tuple(results)


def _require_same_examples(systems: Sequence[FloatArray]) -> None:
    if len({stats.shape for stats in systems}) > 1:
        sizes = " and ".join(str(len(stats)) for stats in systems)
        raise StoreError(
            f"Expected runs on the same examples, got {sizes} of them. "
            "Compare them on the examples that they share, or as unpaired."
        )


def _binary(differences: FloatArray, question: Question) -> Comparison:
    """Compare two systems by the differences, shape (n,), of their scores of 0 or 1; nan where one is undefined."""
    defined = differences[np.isfinite(differences)]
    n, of = len(defined), unit_text(len(defined), None)
    sample = Sample(n=n, units=n, of=of)
    if n < 2:
        return Comparison(sample, question, None, f"none: {of}", f"none: {of}")
    higher, lower = (int(np.count_nonzero(defined == sign)) for sign in (1, -1))
    return Comparison(
        sample,
        question,
        difference=(higher - lower) / n,
        method=f"tango, {of}",
        test="mcnemar mid-p",
        p=mcnemar(higher, lower)[1],
        standard_error=float(defined.std(ddof=1)) / n**0.5,
    ).bounded(Tango(higher, lower, n))
