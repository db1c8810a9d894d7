"""Two stored runs on different examples: the comparison for where pairing is impossible, labelled as the weaker one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.config import StatsConfig
from harness.errors import ConfigError, StoreError
from harness.protocols import Metric
from harness.stats.bootstrap import Resampler, cluster_sums
from harness.stats.comparison import Comparison, Question
from harness.stats.multiplicity import benjamini_hochberg
from harness.stats.unpaired import compare_unpaired
from harness.store.runs import RunStats, StoredRun
from harness.types import FloatArray


@dataclass(frozen=True, slots=True)
class MetricFinding:
    """One metric's comparison, and Benjamini-Hochberg's p-value over the metrics; None where it was not tested."""

    metric: str
    comparison: Comparison
    p_adjusted: float | None


@dataclass(frozen=True, slots=True)
class Unpaired:
    """The first run's scores minus the second's, each over its own examples."""

    runs: tuple[StoredRun, StoredRun]
    findings: tuple[MetricFinding, ...]
    remarks: tuple[str, ...]
    """What a reader must know about the examples."""


def compare_runs(
    runs: Sequence[StoredRun], names: Sequence[str], metric_of: Callable[[StoredRun, str], Metric], config: StatsConfig
) -> Unpaired:
    """Compare two runs of one task on the named metrics, unpaired.

    ConfigError unless there are two runs. StoreError when their tasks differ, when they did not score a metric alike,
    and when their examples are the same, as the paired comparison then shows more.
    """
    if len(runs) != 2:
        raise ConfigError(f"compare --unpaired: expected two runs, got {len(runs)}. Name each by its id.")
    first, second = runs
    if first.result.task != second.result.task:
        raise StoreError(
            f"expected runs of one task, got {first.result.task} and {second.result.task}. "
            "Scores on different tasks say nothing about each other."
        )
    samples = [_Sample.of(run, config.cluster) for run in runs]
    found = []
    for name in names:
        _require_one_signature(runs, name)
        ours, theirs = (sample.units(name) for sample in samples)
        resampler, question = Resampler(0, config.n_resamples), Question(config.confidence)
        found.append(compare_unpaired(metric_of(first, name), ours, theirs, resampler, question))
    adjusted = benjamini_hochberg([np.nan if each.p is None else each.p for each in found])
    findings = tuple(
        MetricFinding(name, each, None if np.isnan(p) else float(p))
        for name, each, p in zip(names, found, adjusted, strict=True)
    )
    return Unpaired((first, second), findings, tuple(_remarks(samples)))


@dataclass(frozen=True, slots=True)
class _Sample:
    """One run's completed examples, and the labels of those that belong together."""

    run: StoredRun
    stats: RunStats
    kept: NDArray[np.bool_]
    labels: NDArray[np.str_] | None

    @classmethod
    def of(cls, run: StoredRun, cluster: str | None) -> _Sample:
        predictions = run.predictions()
        kept = np.array([p.completion.error is None for p in predictions], bool)
        labels = None if cluster is None else np.array([p.example.slices[cluster] for p in predictions])[kept]
        return cls(run, run.stats(), kept, labels)

    def units(self, metric: str) -> FloatArray:
        return cluster_sums(self.stats.metrics[metric][self.kept], self.labels)


def _remarks(samples: Sequence[_Sample]) -> list[str]:
    """Say what was left out and what the runs' examples have in common; StoreError where it is everything."""
    ids = [set(sample.stats.example_ids) for sample in samples]
    shared = len(ids[0] & ids[1])
    if shared == min(map(len, ids)):
        raise StoreError(
            f"{' and '.join(sample.run.result.run_id for sample in samples)} share {shared} examples, all that the "
            "smaller run has. Leave --unpaired out: on the same examples most of the noise cancels."
        )
    remarks = []
    if shared:
        remarks.append(
            f"{shared} examples are in both runs and were taken for different ones, so the intervals are rather too "
            "wide; without --unpaired these alone are compared, pair by pair"
        )
    for sample in samples:
        if failed := int((~sample.kept).sum()):
            remarks.append(f"{sample.run.result.name}: {failed} failed completions left out")
    return remarks


def _require_one_signature(runs: Sequence[StoredRun], metric: str) -> None:
    signatures = [found.signature if (found := run.result.metric(metric)) else None for run in runs]
    if len(set(signatures)) > 1 or None in signatures:
        listed = "; ".join(f"{run.result.run_id}: {s or 'not scored'}" for run, s in zip(runs, signatures, strict=True))
        raise StoreError(f"{metric} is not comparable between these runs ({listed}). Score them again alike.")
