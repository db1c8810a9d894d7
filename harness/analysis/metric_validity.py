"""Which metrics can tell these models apart, and which are blunt here: near a floor, near a ceiling, or too noisy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.comparisons import Aligned, MetricComparison
from harness.errors import StoreError
from harness.protocols import Metric
from harness.stats.power import Plan, pairs_needed
from harness.types import RunResult

EDGE = 0.02
"""Scores that all lie so near to 0 or 1 say nothing about which model is better."""
CURVE = "sequence_accuracy"
"""Measured in every fine-tune, whether or not it is a metric of the task."""


@dataclass(frozen=True, slots=True)
class Validity:
    """How many of all pairs of runs a metric tells apart after Holm's adjustment, and what it would need."""

    metric: str
    separated: int
    pairs: int
    """Pairs that were tested; 0 for what is only known from learning curves."""
    saturation: str
    """`floor`, `ceiling` or nothing."""
    n_needed: int | None
    """Examples that would show the median difference between two runs; None where it is nil."""
    lowest: float | None = None
    """The lowest score of a run."""
    highest: float | None = None


def comparable(aligned: Aligned, metrics: Sequence[Metric]) -> list[Metric]:
    """Return the metrics that all runs were scored with alike."""
    found = []
    for metric in metrics:
        try:
            aligned.stats(metric.name)
        except StoreError:  # scored under another signature by some run
            continue
        found.append(metric)
    return found


def validity(aligned: Aligned, metrics: Sequence[Metric], compared: Sequence[MetricComparison]) -> list[Validity]:
    """Return what each metric can show, from its comparison of all pairs of runs."""
    return [_validity(aligned, metric, each) for metric, each in zip(metrics, compared, strict=True)]


def of_curves(results: Sequence[RunResult]) -> list[Validity]:
    """Return what the sequence accuracy of fine-tunes at their best evaluation shows, which no test was made of."""
    tuned = [result.finetune for result in results if result.finetune]
    best = [point.sequence_accuracy for each in tuned for point in each.curve if point.step == each.best_step]
    scores = [score for score in best if score is not None]
    if len(scores) < 2:
        return []
    return [Validity(f"{CURVE} of fine-tunes", 0, 0, _saturation(scores), None, min(scores), max(scores))]


def _validity(aligned: Aligned, metric: Metric, compared: MetricComparison) -> Validity:
    confidence = aligned.config.confidence
    scores = [float(metric.aggregate(stats.sum(axis=0))) for stats in aligned.stats(metric.name)]
    ranked = sorted((p.comparison for p in compared.pairs), key=lambda c: abs(c.difference or 0.0))
    middle = ranked[len(ranked) // 2]
    n_needed = None
    if middle.difference and middle.sd_of_difference:
        n_needed = pairs_needed(middle.sd_of_difference, middle.difference, Plan(confidence))
    known = [score for score in scores if score == score]
    return Validity(
        metric=metric.name,
        separated=sum(p.p_adjusted is not None and p.p_adjusted <= 1 - confidence for p in compared.pairs),
        pairs=len(compared.pairs),
        saturation=_saturation(known) if known and metric.higher_is_better is not None else "",
        n_needed=n_needed,
        lowest=min(known, default=None),
        highest=max(known, default=None),
    )


def _saturation(scores: Sequence[float]) -> str:
    if max(scores) <= EDGE:
        return "floor"
    return "ceiling" if 1 - EDGE <= min(scores) <= max(scores) <= 1 else ""
