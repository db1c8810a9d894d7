"""Training seeds as replicates: runs that differ in nothing but a seed are one system, trained several times.

A difference between two single fine-tunes holds for those two sets of weights. Only replicates say whether training
again would give it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from harness.analysis.comparisons import Aligned
from harness.protocols import Metric
from harness.stats.comparison import Comparison, Question
from harness.stats.multiplicity import holm
from harness.stats.replicates import compare_replicates
from harness.store.digest import digest
from harness.store.runs import StoredRun

_SEEDS = ("name", "seed", "finetune.seed", "report", "tracking", "store", "dry_run", "baselines", "pricing")
"""Settings that replicates of one system may differ in."""


@dataclass(frozen=True, slots=True)
class System:
    """Runs that differ in a seed alone, by their positions among the compared runs."""

    name: str
    runs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SystemPair:
    """Two systems, the first one's mean score minus the second's, and Holm's adjusted p-value."""

    first: System
    second: System
    comparison: Comparison
    p_adjusted: float | None


def systems(runs: Sequence[StoredRun]) -> list[System]:
    """Return the systems that the runs are replicates of, in the order of their first runs."""
    groups: dict[str, list[int]] = {}
    for i, run in enumerate(runs):
        groups.setdefault(digest(_without_seeds(run.result.config)), []).append(i)
    return [
        System(
            f"{runs[rows[0]].result.name} x {len(rows)}" if len(rows) > 1 else runs[rows[0]].result.name, tuple(rows)
        )
        for rows in groups.values()
    ]


def compare_systems(aligned: Aligned, metric: Metric) -> tuple[SystemPair, ...]:
    """Compare all pairs of systems, training noise included; nothing where no system was trained more than once."""
    found = systems(aligned.runs)
    if len(found) < 2 or all(len(system.runs) == 1 for system in found):
        return ()
    stats, question = aligned.stats(metric.name), Question(aligned.config.confidence)
    pairs = list(combinations(found, 2))
    comparisons = [
        compare_replicates(
            metric, [stats[i] for i in first.runs], [stats[i] for i in second.runs], aligned.clusters, question
        )
        for first, second in pairs
    ]
    adjusted = holm([np.nan if each.p is None else each.p for each in comparisons])
    return tuple(
        SystemPair(first, second, each, None if np.isnan(p) else float(p))
        for (first, second), each, p in zip(pairs, comparisons, adjusted, strict=True)
    )


def _without_seeds(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    kept = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if name not in _SEEDS:
            kept[key] = _without_seeds(value, f"{name}.") if isinstance(value, Mapping) else value
    return kept
