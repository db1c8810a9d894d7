"""Which metrics can tell these models apart, and which are blunt here: near a floor, near a ceiling, or too noisy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.comparisons import Aligned
from harness.errors import StoreError
from harness.protocols import Metric
from harness.stats.power import Plan, pairs_needed

EDGE = 0.02
"""Scores that all lie so near to 0 or 1 say nothing about which model is better."""


@dataclass(frozen=True, slots=True)
class Validity:
    """How many of all pairs of runs a metric tells apart after Holm's adjustment, and what it would need."""

    metric: str
    separated: int
    pairs: int
    saturation: str
    """`floor`, `ceiling` or nothing."""
    n_needed: int | None
    """Examples that would show the median difference between two runs; None where it is nil."""


def validity(aligned: Aligned, metrics: Sequence[str], metric_of: Callable[[str], Metric]) -> list[Validity]:
    """Return what each metric that all runs share can show, in the order of `metrics`."""
    found = []
    for name in metrics:
        metric = metric_of(name)
        try:
            compared = aligned.compare(metric)
        except StoreError:  # scored under another signature by some run
            continue
        level = 1 - aligned.config.confidence
        scores = [float(metric.aggregate(stats.sum(axis=0))) for stats in aligned.stats(name)]
        ranked = sorted((p.comparison for p in compared.pairs), key=lambda c: abs(c.difference or 0.0))
        middle = ranked[len(ranked) // 2]
        n_needed = None
        if middle.difference and middle.deviation:
            n_needed = pairs_needed(middle.deviation, middle.difference, Plan(aligned.config.confidence))
        found.append(
            Validity(
                metric=name,
                separated=sum(p.p_adjusted is not None and p.p_adjusted <= level for p in compared.pairs),
                pairs=len(compared.pairs),
                saturation=_saturation(scores) if metric.higher_is_better is not None else "",
                n_needed=n_needed,
            )
        )
    return found


def _saturation(scores: Sequence[float]) -> str:
    if max(scores) <= EDGE:
        return "floor"
    return "ceiling" if EDGE < 1 - EDGE <= min(scores) <= max(scores) <= 1 else ""
