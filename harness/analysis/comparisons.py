"""Paired comparisons of stored runs on the examples that they share, if their scores are comparable.

A difference counts only if it is significant after Holm's adjustment over all pairs of the leaderboard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from harness.config import StatsConfig
from harness.errors import StoreError
from harness.protocols import Metric
from harness.stats.bootstrap import Resampler, cluster_sums
from harness.stats.comparison import Comparison, Question
from harness.stats.multiplicity import holm, is_significant, permutations_needed, rank_intervals, tie_groups
from harness.stats.paired import compare_metrics
from harness.store.runs import StoredRun
from harness.tasks.samples import cluster_labels
from harness.types import Example, FloatArray, Prediction, RunResult
from harness.wording import at_most, counted


@dataclass(frozen=True, slots=True)
class RunPair:
    """Two of the compared runs, by position, and the first one's score minus the second's."""

    first: int
    second: int
    comparison: Comparison
    p_adjusted: float | None
    """Holm's over all pairs of this metric; None if the pair could not be tested."""

    @property
    def is_significantly_different(self) -> bool:
        """Whether the difference is significant after adjustment."""
        return is_significant(self.p_adjusted, self.comparison.question.confidence)


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """All pairs of runs on one metric, with tie groups and plausible ranks in the order of the runs."""

    metric: str
    pairs: tuple[RunPair, ...]
    groups: tuple[str, ...]
    ranks: tuple[tuple[int, int], ...]

    def between(self, first: int, second: int) -> RunPair:
        """Return the pair of the runs at two positions, whichever comes first."""
        positions = (min(first, second), max(first, second))
        return next(pair for pair in self.pairs if (pair.first, pair.second) == positions)


class Aligned:
    """Runs on the examples that all of them completed, in the same order.

    StoreError if their tasks differ, if they have no example in common, or if examples of one id are different ones.
    `left_out` says which examples were not used.
    """

    def __init__(self, runs: Sequence[StoredRun], config: StatsConfig) -> None:
        require_same_task(runs)
        self.runs, self.config, self._stats = runs, config, [run.stats() for run in runs]
        permutations = permutations_needed(len(runs) * (len(runs) - 1) // 2, config.confidence)
        self.resampler = Resampler(config.seed, config.n_resamples, permutations)
        ids = [stats.example_ids for stats in self._stats]
        shared, union = set(ids[0]).intersection(*ids[1:]), set().union(*ids)
        if not shared:
            names = " and ".join(run.result.run_id for run in runs)
            raise StoreError(
                f"{names} have no example in common. "
                "Compare runs of one task, sample_seed and n_validation, or two runs with --unpaired."
            )
        order = [example_id for example_id in ids[0] if example_id in shared]
        require_same_examples(runs, order)
        self._rows = [_positions(run_ids, order) for run_ids in ids]
        failed = self._failed()
        self._rows = [rows[~failed] for rows in self._rows]
        self.n = int((~failed).sum())
        self.left_out = _left_out(len(union) - len(shared), int(failed.sum()))

    def stats(self, metric: str) -> list[FloatArray]:
        """Return every run's statistics on the shared examples, each of shape (n, k).

        StoreError if a run lacks the metric or has it with another signature.
        """
        require_same_signature(metric, {run.result.run_id: signature_of(run, metric) for run in self.runs})
        return [stats.metrics[metric][rows] for stats, rows in zip(self._stats, self._rows, strict=True)]

    def predictions(self) -> list[tuple[Prediction, ...]]:
        """Return every run's predictions on the shared examples, in the order of the statistics."""
        shared = []
        for run, rows in zip(self.runs, self._rows, strict=True):
            predictions = run.predictions()
            shared.append(tuple(predictions[i] for i in rows))
        return shared

    @cached_property
    def clusters(self) -> NDArray[np.str_] | None:
        """The cluster label of each shared example, or None if examples are independent."""
        return cluster_labels(self._examples, self.config.cluster)

    def n_units(self, part: NDArray[np.intp]) -> int:
        """Return how many of the shared examples at these positions are independent: examples, or clusters."""
        return len(part) if self.clusters is None else len(np.unique(self.clusters[part]))

    @cached_property
    def parts(self) -> dict[tuple[str, str], NDArray[np.intp]]:
        """The positions of the shared examples of every slice, by key and value."""
        positions: dict[tuple[str, str], list[int]] = {}
        for i, example in enumerate(self._examples):
            for key_and_value in example.slices.items():
                positions.setdefault(key_and_value, []).append(i)
        return {key_and_value: np.array(part) for key_and_value, part in sorted(positions.items())}

    def compare_parts(self, metric: Metric) -> dict[tuple[str, str], Comparison]:
        """Compare the first two runs on one metric within every slice of the shared examples."""
        by_part = self.compare_in_parts(metric, list(self.parts.values()), [(0, 1)])
        return {key_and_value: comparison for key_and_value, (comparison,) in zip(self.parts, by_part, strict=True)}

    def compare(self, metric: Metric) -> MetricComparison:
        """Compare all pairs of runs on one metric."""
        return self.compare_metrics([metric])[0]

    def compare_metrics(self, metrics: Sequence[Metric]) -> list[MetricComparison]:
        """Compare all pairs of runs on several metrics, which takes little longer than one metric alone."""
        systems = [self.stats(metric.name) for metric in metrics]
        results = compare_metrics(metrics, systems, self.resampler, self.clusters, Question(self.config.confidence))
        return [
            self._with_groups(metric.name, result.pairs, self._ranks(metric, stats, result.scores))
            for metric, stats, result in zip(metrics, systems, results, strict=True)
        ]

    def compare_in_parts(
        self, metric: Metric, parts: Sequence[NDArray[np.intp]], pairs: Sequence[tuple[int, int]]
    ) -> list[tuple[Comparison, ...]]:
        """Compare the pairs of runs within each part of the shared examples, an array of positions."""
        systems, question = self.stats(metric.name), Question(self.config.confidence)
        results = []
        for part in parts:
            rows = [stats[part] for stats in systems]
            clusters = None if self.clusters is None else self.clusters[part]
            results.append(compare_metrics([metric], [rows], self.resampler, clusters, question, pairs)[0].pairs)
        return results

    def _with_groups(
        self, metric: str, comparisons: Sequence[Comparison], ranks: tuple[tuple[int, int], ...]
    ) -> MetricComparison:
        """Add adjusted p-values and tie groups to the comparisons of all pairs on one metric."""
        positions = combinations(range(len(self.runs)), 2)
        adjusted = holm([comparison.p for comparison in comparisons])
        pairs = tuple(
            RunPair(i, j, comparison, p) for (i, j), comparison, p in zip(positions, comparisons, adjusted, strict=True)
        )
        differs = np.zeros((len(self.runs), len(self.runs)), bool)
        for pair in pairs:
            differs[pair.first, pair.second] = differs[pair.second, pair.first] = pair.is_significantly_different
        return MetricComparison(metric, pairs, tuple(tie_groups(differs)), ranks)

    def _ranks(
        self, metric: Metric, systems: Sequence[FloatArray], scores: FloatArray | None
    ) -> tuple[tuple[int, int], ...]:
        if self.n < 2:
            return tuple((1, len(systems)) for _ in systems)
        if scores is None:
            scores = metric.aggregate(self.resampler.sums(cluster_sums(np.stack(systems, axis=1), self.clusters)))
        return tuple(rank_intervals(scores, metric.higher_is_better, self.config.confidence))

    @cached_property
    def _examples(self) -> list[Example]:
        predictions = self.runs[0].predictions()
        return [predictions[i].example for i in self._rows[0]]

    def _failed(self) -> NDArray[np.bool_]:
        """Mark the shared examples that a run has no completion for, whose statistics are nan."""
        columns = [
            np.isnan(values[rows]).all(axis=1)
            for stats, rows in zip(self._stats, self._rows, strict=True)
            for values in stats.metrics.values()
        ]
        return np.asarray(np.any(columns, axis=0), bool)


def _positions(ids: Sequence[str], order: Sequence[str]) -> NDArray[np.intp]:
    position = {example_id: i for i, example_id in enumerate(ids)}
    return np.array([position[example_id] for example_id in order], np.intp)


def _left_out(not_shared: int, failed: int) -> str:
    parts = []
    if not_shared:
        parts.append(f"{counted(not_shared, 'example')} not in all runs")
    if failed:
        parts.append(f"{counted(failed, 'example')} with a failed completion in some run")
    return f"left out: {' and '.join(parts)}" if parts else ""


def shared_metrics(runs: Sequence[StoredRun]) -> list[str]:
    """Return the metrics that all runs were scored with under one signature, in the order of the first run."""
    signatures = [{m.name: m.signature for m in run.result.metrics} for run in runs]
    return [name for name, signature in signatures[0].items() if all(s.get(name) == signature for s in signatures)]


def require_same_task(runs: Sequence[StoredRun]) -> None:
    """Raise a StoreError unless all runs are of one task: equal example ids do not make equal examples."""
    tasks = list(dict.fromkeys(run.result.task for run in runs))
    if len(tasks) > 1:
        raise StoreError(
            f"Expected runs of one task, got {' and '.join(tasks)}. Scores on different tasks are not comparable. "
            "Name the runs to compare: python -m harness compare RUN RUN"
        )


def require_same_examples(runs: Sequence[StoredRun], ids: Sequence[str]) -> None:
    """Raise a StoreError unless the examples with these ids have the same prompt and reference in all of the runs."""
    if len({run.result.dataset.fingerprint for run in runs}) == 1:
        return
    first = {prediction.example.id: prediction.example for prediction in runs[0].predictions()}
    for run in runs[1:]:
        examples = {prediction.example.id: prediction.example for prediction in run.predictions()}
        changes = {i: differences for i in ids if (differences := _changed(first[i], examples[i]))}
        if changes:
            what = " and ".join(sorted({name for names in changes.values() for name in names}))
            raise StoreError(
                f"{runs[0].result.run_id} and {run.result.run_id}: {len(changes):,} of "
                f"{counted(len(ids), 'shared example')} have another {what}, such as "
                f"{', '.join(at_most([repr(i) for i in changes], 3))}: equal ids do not make equal examples, and "
                "scores on different data are not comparable. Compare runs on the same data, or two with --unpaired."
            )


def _changed(first: Example, second: Example) -> list[str]:
    """Return what differs between two examples, of what decides a completion and its score."""
    return [
        name
        for name, changed in (
            ("prompt", (first.prompt, first.messages) != (second.prompt, second.messages)),
            ("reference", first.reference != second.reference),
        )
        if changed
    ]


def run_labels(runs: Sequence[StoredRun]) -> list[str]:
    """Return what to call each of several runs: its name, or its id where another of them has the same name."""
    return labels([run.result for run in runs])


def labels(results: Sequence[RunResult]) -> list[str]:
    """Return what to call each of several results; see `run_labels`."""
    times = Counter(result.name for result in results)
    return [result.name if times[result.name] == 1 else result.run_id for result in results]


def signature_of(run: StoredRun, metric: str) -> str | None:
    """Return the signature that a run was scored with, or None if it was not scored with this metric."""
    result = run.result.metric(metric)
    return None if result is None else result.signature


def require_same_signature(
    metric: str, signatures: Mapping[str, str | None], fix: str = "Score them again with the same options and versions."
) -> None:
    """Raise a StoreError unless all runs, given as signatures by run name, have the same signature of the metric."""
    if len(set(signatures.values())) > 1 or None in signatures.values():
        listed = "; ".join(f"{name}: {signature or 'not scored'}" for name, signature in signatures.items())
        raise StoreError(f"{metric} is not comparable between these runs ({listed}). {fix}")
