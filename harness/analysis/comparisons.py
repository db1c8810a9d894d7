"""Stored runs compared on the examples that they share, refused where their scores are not the same thing.

A difference is a claim only when its p-value survives Holm's adjustment over all pairs of the leaderboard.
"""

from __future__ import annotations

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
from harness.stats.multiplicity import holm, permutations_needed, rank_intervals, tie_groups
from harness.stats.paired import compare_metrics
from harness.store.runs import StoredRun
from harness.types import FloatArray, Prediction


@dataclass(frozen=True, slots=True)
class Pair:
    """Two of the compared runs, by position, and the first one's score minus the second's."""

    first: int
    second: int
    comparison: Comparison
    p_adjusted: float | None
    """Holm's over all pairs of this metric; None where the pair could not be tested."""


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """All pairs of runs on one metric, with tie groups and plausible ranks in the order of the runs."""

    metric: str
    pairs: tuple[Pair, ...]
    groups: tuple[str, ...]
    ranks: tuple[tuple[int, int], ...]

    def between(self, first: int, second: int) -> Pair:
        """Return the pair of the runs at positions `first` < `second`."""
        return next(p for p in self.pairs if (p.first, p.second) == (first, second))


class Aligned:
    """Runs on the examples that all of them completed, in one order.

    StoreError when they share too few to compare. `left_out` says in words what was not used.
    """

    def __init__(self, runs: Sequence[StoredRun], config: StatsConfig, seed: int = 0) -> None:
        self.runs, self.config, self._stats = runs, config, [run.stats() for run in runs]
        swaps = permutations_needed(len(runs) * (len(runs) - 1) // 2, config.confidence)
        self.resampler = Resampler(seed, config.n_resamples, swaps)
        ids = [stats.example_ids for stats in self._stats]
        shared, union = set(ids[0]).intersection(*ids[1:]), set().union(*ids)
        if not shared:
            names = " and ".join(run.result.run_id for run in runs)
            raise StoreError(
                f"{names} have no example in common. "
                "Compare runs of one task, seed and n_validation, or two runs with --unpaired."
            )
        order = [example_id for example_id in ids[0] if example_id in shared]
        self._rows = [_positions(each, order) for each in ids]
        failed = self._failed()
        self._rows = [rows[~failed] for rows in self._rows]
        self.n = int((~failed).sum())
        self.left_out = _left_out(len(union) - len(shared), int(failed.sum()))

    def stats(self, metric: str) -> list[FloatArray]:
        """Return every run's statistics on the shared examples, each of shape (n, k).

        StoreError when a run lacks the metric, or scored it under another signature.
        """
        signatures = {
            run.result.run_id: found.signature if (found := run.result.metric(metric)) else None for run in self.runs
        }
        if len(set(signatures.values())) > 1 or None in signatures.values():
            listed = "; ".join(f"{run_id}: {signature or 'not scored'}" for run_id, signature in signatures.items())
            raise StoreError(f"{metric} is not comparable between these runs ({listed}). Score them again alike.")
        return [stats.metrics[metric][rows] for stats, rows in zip(self._stats, self._rows, strict=True)]

    def predictions(self) -> list[tuple[Prediction, ...]]:
        """Return every run's predictions on the shared examples, in the order of the statistics."""
        found = []
        for run, rows in zip(self.runs, self._rows, strict=True):
            predictions = run.predictions()
            found.append(tuple(predictions[i] for i in rows))
        return found

    @cached_property
    def clusters(self) -> NDArray[np.str_] | None:
        """The cluster label of each shared example, or None when examples are independent."""
        if self.config.cluster is None:
            return None
        return np.array([slices[self.config.cluster] for slices in self._slices])

    @cached_property
    def parts(self) -> dict[tuple[str, str], NDArray[np.intp]]:
        """The positions of the shared examples of every slice, by key and value."""
        found: dict[tuple[str, str], list[int]] = {}
        for i, slices in enumerate(self._slices):
            for pair in slices.items():
                found.setdefault(pair, []).append(i)
        return {pair: np.array(positions) for pair, positions in sorted(found.items())}

    def compare_parts(self, metric: Metric) -> dict[tuple[str, str], Comparison]:
        """Compare the first two runs on one metric within every slice of the shared examples."""
        found = self.compare_in_parts(metric, list(self.parts.values()), [(0, 1)])
        return {pair: each[0] for pair, each in zip(self.parts, found, strict=True)}

    def compare(self, metric: Metric) -> MetricComparison:
        """Compare all pairs of runs on one metric."""
        return self.compare_metrics([metric])[0]

    def compare_metrics(self, metrics: Sequence[Metric]) -> list[MetricComparison]:
        """Compare all pairs of runs on one metric or more; together they take little longer than one alone."""
        systems = [self.stats(metric.name) for metric in metrics]
        found = compare_metrics(metrics, systems, self.resampler, self.clusters, Question(self.config.confidence))
        return [
            self._compared(metric.name, each.pairs, self._ranks(metric, own, each.scores))
            for metric, own, each in zip(metrics, systems, found, strict=True)
        ]

    def compare_in_parts(
        self, metric: Metric, parts: Sequence[NDArray[np.intp]], pairs: Sequence[tuple[int, int]]
    ) -> list[tuple[Comparison, ...]]:
        """Compare the pairs of runs within each part of the shared examples, given by its positions."""
        systems, question = self.stats(metric.name), Question(self.config.confidence)
        found = []
        for part in parts:
            own, clusters = [each[part] for each in systems], self._clusters_of(part)
            found.append(compare_metrics([metric], [own], self.resampler, clusters, question, pairs)[0].pairs)
        return found

    def _compared(
        self, metric: str, found: Sequence[Comparison], ranks: tuple[tuple[int, int], ...]
    ) -> MetricComparison:
        pairs = list(combinations(range(len(self.runs)), 2))
        adjusted = holm([np.nan if c.p is None else c.p for c in found])
        differs = np.zeros((len(self.runs), len(self.runs)), bool)
        for (i, j), p in zip(pairs, adjusted, strict=True):
            differs[i, j] = differs[j, i] = p <= 1 - self.config.confidence
        return MetricComparison(
            metric,
            tuple(
                Pair(i, j, comparison, None if np.isnan(p) else float(p))
                for (i, j), comparison, p in zip(pairs, found, adjusted, strict=True)
            ),
            tuple(tie_groups(differs)),
            ranks,
        )

    def _ranks(
        self, metric: Metric, systems: Sequence[FloatArray], scores: FloatArray | None
    ) -> tuple[tuple[int, int], ...]:
        if self.n < 2:
            return tuple((1, len(systems)) for _ in systems)
        if scores is None:
            scores = metric.aggregate(self.resampler.sums(cluster_sums(np.stack(systems, axis=1), self.clusters)))
        return tuple(rank_intervals(scores, metric.higher_is_better is not False, self.config.confidence))

    @cached_property
    def _slices(self) -> list[Mapping[str, str]]:
        predictions = self.runs[0].predictions()
        return [predictions[i].example.slices for i in self._rows[0]]

    def _clusters_of(self, part: NDArray[np.intp]) -> NDArray[np.str_] | None:
        return None if self.clusters is None else self.clusters[part]

    def _failed(self) -> NDArray[np.bool_]:
        """Say which shared examples some run has no completion for: its statistics are nan."""
        columns = [
            np.isnan(values[rows]).all(axis=1)
            for stats, rows in zip(self._stats, self._rows, strict=True)
            for values in stats.metrics.values()
        ]
        return np.asarray(np.any(columns, axis=0), bool)


def _positions(ids: Sequence[str], order: Sequence[str]) -> NDArray[np.intp]:
    where = {example_id: i for i, example_id in enumerate(ids)}
    return np.array([where[example_id] for example_id in order], np.intp)


def _left_out(not_shared: int, failed: int) -> str:
    parts = []
    if not_shared:
        parts.append(f"{not_shared} examples that not all runs have")
    if failed:
        parts.append(f"{failed} examples that some run failed on")
    return f"left out: {' and '.join(parts)}" if parts else ""
