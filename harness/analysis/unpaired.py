"""Unpaired comparison of two stored runs on different examples, for where pairing is impossible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.analysis.comparisons import require_same_signature, require_same_task, run_labels, signature_of
from harness.config import StatsConfig
from harness.errors import ConfigError, StoreError
from harness.protocols import Metric
from harness.stats.bootstrap import Resampler, cluster_sums
from harness.stats.comparison import Comparison, Question
from harness.stats.multiplicity import benjamini_hochberg
from harness.stats.unpaired import compare_unpaired
from harness.store.runs import RunStats, StoredRun
from harness.tasks.samples import cluster_labels
from harness.types import FloatArray, Message
from harness.wording import counted


@dataclass(frozen=True, slots=True)
class MetricFinding:
    """One metric's comparison, and its Benjamini-Hochberg-adjusted p-value; None if it was not tested."""

    metric: str
    comparison: Comparison
    p_adjusted: float | None


@dataclass(frozen=True, slots=True)
class UnpairedComparison:
    """The first run's scores minus the second's, each on its own examples."""

    runs: tuple[StoredRun, StoredRun]
    findings: tuple[MetricFinding, ...]
    remarks: tuple[str, ...]
    """Warnings about the examples: shared ones, and failed completions."""


def compare_runs(
    runs: Sequence[StoredRun], names: Sequence[str], metric_of: Callable[[StoredRun, str], Metric], config: StatsConfig
) -> UnpairedComparison:
    """Compare two runs of one task on the named metrics, unpaired.

    ConfigError unless there are two runs. StoreError if their tasks or the signatures of a metric differ, or if one
    run's examples are all among the other's, because a paired comparison is then more powerful.
    """
    if len(runs) != 2:
        raise ConfigError(f"compare --unpaired: expected two runs, got {len(runs)}. Name each by its id.")
    first, second = runs
    require_same_task(runs)
    samples = [_Sample.of(run, config.cluster) for run in runs]
    units = "clusters" if any(sample.labels is not None for sample in samples) else "examples"
    comparisons: list[Comparison] = []
    for name in names:
        require_same_signature(name, {run.result.run_id: signature_of(run, name) for run in runs})
        first_units, second_units = (sample.units(name) for sample in samples)
        resampler, question = Resampler(config.seed, config.n_resamples), Question(config.confidence)
        metric = metric_of(first, name)
        comparisons.append(compare_unpaired(metric, first_units, second_units, resampler, question, units))
    adjusted = benjamini_hochberg([comparison.p for comparison in comparisons])
    findings = tuple(map(MetricFinding, names, comparisons, adjusted))
    return UnpairedComparison((first, second), findings, tuple(_remarks(samples)))


@dataclass(frozen=True, slots=True)
class _Sample:
    """One run's completed examples and their cluster labels."""

    run: StoredRun
    stats: RunStats
    completed: NDArray[np.bool_]
    labels: NDArray[np.str_] | None
    identities: frozenset[tuple[str, str, str, tuple[Message, ...]]]
    """Id, prompt, reference and turns: two examples of one id may be different ones."""

    @classmethod
    def of(cls, run: StoredRun, cluster: str | None) -> _Sample:
        predictions = run.predictions()
        completed = np.array([p.completion.error is None for p in predictions], bool)
        labels = cluster_labels([p.example for p in predictions if p.completion.error is None], cluster)
        examples = (p.example for p in predictions)
        identities = frozenset((e.id, e.prompt, e.reference, e.messages) for e in examples)
        return cls(run, run.stats(), completed, labels, identities)

    def units(self, metric: str) -> FloatArray:
        return cluster_sums(self.stats.metrics[metric][self.completed], self.labels)


def _remarks(samples: Sequence[_Sample]) -> list[str]:
    """Return warnings about shared and failed examples; StoreError if all examples of a run are shared."""
    first, second = (sample.identities for sample in samples)
    shared = len(first & second)
    if shared == min(len(first), len(second)):
        raise StoreError(
            f"{' and '.join(sample.run.result.run_id for sample in samples)} share {counted(shared, 'example')}, all "
            "examples of the smaller run. Leave --unpaired out: on the same examples most of the noise cancels."
        )
    remarks = []
    if shared:
        remarks.append(
            f"{counted(shared, 'example')} in both runs treated as different ones, so the intervals are too wide; "
            "without --unpaired only the shared examples are compared, in pairs"
        )
    for sample, label in zip(samples, run_labels([sample.run for sample in samples]), strict=True):
        if failed := int((~sample.completed).sum()):
            remarks.append(f"{label}: {counted(failed, 'failed completion')} left out")
    return remarks
