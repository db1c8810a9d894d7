"""How well each metric separates these runs, and which metrics are saturated: all scores at a floor or a ceiling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.comparisons import Aligned, MetricComparison
from harness.errors import StoreError
from harness.protocols import Metric
from harness.stats.power import PowerPlan, pairs_needed
from harness.types import RunResult

EDGE = 0.02
"""A metric is saturated if all scores are within this distance of 0 or 1."""
CURVE = "sequence_accuracy"
"""The metric that every fine-tune measures, whether or not the task has it."""


@dataclass(frozen=True, slots=True)
class Validity:
    """How many pairs of runs differ significantly on a metric after Holm's adjustment, and the examples it needs."""

    metric: str
    separated: int
    pairs: int
    """Pairs that were tested; 0 for a metric that is only known from learning curves."""
    saturation: str
    """`floor`, `ceiling` or empty."""
    n_needed: int | None
    """Examples needed to detect the median difference between two runs; None if that is 0."""
    lowest: float | None = None
    """The lowest score of a run."""
    highest: float | None = None


def comparable_metrics(aligned: Aligned, metrics: Sequence[Metric]) -> list[Metric]:
    """Return the metrics that all runs have with the same signature."""
    comparable = []
    for metric in metrics:
        try:
            aligned.stats(metric.name)
        except StoreError:  # a run has no score, or one with another signature
            continue
        comparable.append(metric)
    return comparable


def validity(aligned: Aligned, metrics: Sequence[Metric], comparisons: Sequence[MetricComparison]) -> list[Validity]:
    """Return the validity of each metric from its comparison of all pairs of runs."""
    return [_validity(aligned, *pair) for pair in zip(metrics, comparisons, strict=True)]


def curve_validity(results: Sequence[RunResult]) -> list[Validity]:
    """Return the validity of the fine-tunes' sequence accuracy at their best evaluation, which is not tested."""
    tuned = [result.finetune for result in results if result.finetune]
    best = [point.sequence_accuracy for record in tuned for point in record.curve if point.step == record.best_step]
    scores = [score for score in best if score is not None]
    if len(scores) < 2:
        return []
    return [Validity(f"{CURVE} of fine-tunes", 0, 0, _saturation(scores), None, min(scores), max(scores))]


def _validity(aligned: Aligned, metric: Metric, comparison: MetricComparison) -> Validity:
    scores = [float(metric.aggregate(stats.sum(axis=0))) for stats in aligned.stats(metric.name)]
    by_size = sorted((pair.comparison for pair in comparison.pairs), key=lambda c: abs(c.difference or 0.0))
    median = by_size[len(by_size) // 2]
    n_needed = None
    if median.difference and median.sd_of_difference:
        n_needed = pairs_needed(median.sd_of_difference, median.difference, PowerPlan(aligned.config.confidence))
    known = [score for score in scores if not math.isnan(score)]
    return Validity(
        metric=metric.name,
        separated=sum(pair.is_significantly_different for pair in comparison.pairs),
        pairs=len(comparison.pairs),
        saturation=_saturation(known) if known and metric.higher_is_better is not None else "",
        n_needed=n_needed,
        lowest=min(known, default=None),
        highest=max(known, default=None),
    )


def _saturation(scores: Sequence[float]) -> str:
    if max(scores) <= EDGE:
        return "floor"
    return "ceiling" if 1 - EDGE <= min(scores) <= max(scores) <= 1 else ""
