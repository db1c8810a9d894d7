"""Comparisons of recipes: runs that differ only in the seed of training or of sampling are replicates of one recipe.

A difference between two single fine-tunes holds for those two sets of weights, and one between two sampled runs for
those texts. Only replicates show whether doing it again would give the same difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.analysis.comparisons import Aligned, run_labels
from harness.config.decides import affecting
from harness.protocols import Metric
from harness.stats.comparison import Comparison, Question
from harness.stats.multiplicity import holm
from harness.stats.replicates import compare_replicates
from harness.store.digest import digest
from harness.store.runs import StoredRun


@dataclass(frozen=True, slots=True)
class Recipe:
    """Runs that differ only in `generation.seed` or `finetune.seed`, by their positions among the compared runs."""

    name: str
    runs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RecipePair:
    """Two recipes, the first one's mean score minus the second's, and Holm's adjusted p-value."""

    first: Recipe
    second: Recipe
    comparison: Comparison
    p_adjusted: float | None


def recipes(runs: Sequence[StoredRun]) -> list[Recipe]:
    """Return the recipes that the runs are replicates of, in the order of their first runs."""
    groups: dict[str, list[int]] = {}
    for i, run in enumerate(runs):
        groups.setdefault(digest(affecting(run.result.config, seeds=False)), []).append(i)
    first = run_labels([runs[positions[0]] for positions in groups.values()])
    return [
        Recipe(_name(label, len(positions)), tuple(positions))
        for label, positions in zip(first, groups.values(), strict=True)
    ]


def compare_recipes(aligned: Aligned, metric: Metric) -> tuple[RecipePair, ...]:
    """Compare all pairs of recipes with training noise included; empty if none was trained more than once."""
    compared = recipes(aligned.runs)
    if len(compared) < 2 or all(len(recipe.runs) == 1 for recipe in compared):
        return ()
    stats, question = aligned.stats(metric.name), Question(aligned.config.confidence)
    pairs = list(combinations(compared, 2))
    comparisons = [
        compare_replicates(
            metric, [stats[i] for i in first.runs], [stats[i] for i in second.runs], aligned.clusters, question
        )
        for first, second in pairs
    ]
    adjusted = holm([comparison.p for comparison in comparisons])
    return tuple(
        RecipePair(first, second, comparison, p)
        for (first, second), comparison, p in zip(pairs, comparisons, adjusted, strict=True)
    )


def _name(label: str, n_runs: int) -> str:
    return f"{label} x {n_runs}" if n_runs > 1 else label
