"""Scores, intervals, slices and bounds of a run's completions, all from sums of each metric's statistics.

A failed completion is left out of a score; bounds say what the score would be with all failed ones wrong or right.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.config import StatsConfig
from harness.progress import track
from harness.protocols import Metric, ReadingMetric
from harness.stages.metric_stats import BoundedStatistics, statistics
from harness.stages.readability import quoted, reading_warnings, readings
from harness.stats.bootstrap import Resampler
from harness.stats.intervals import Interval, intervals
from harness.store.digest import digest
from harness.store.stages import Store
from harness.tasks.samples import cluster_labels
from harness.types import Completion, Example, FloatArray, MetricResult, Prediction, Score, StageRecord
from harness.wording import counted

MAX_SLICES = 50
"""A slice key with more values than this identifies examples rather than groups them, and is not reported."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Results, one prediction per example, each metric's statistics with nan rows for failures, and the stage."""

    metrics: tuple[MetricResult, ...]
    predictions: tuple[Prediction, ...]
    stats: Mapping[str, FloatArray]
    stage: StageRecord
    warnings: tuple[str, ...]


def score(
    metrics: Sequence[Metric],
    examples: Sequence[Example],
    completions: Sequence[Completion],
    config: StatsConfig,
    store: Store,
) -> Scored:
    """Score aligned examples and completions; ConfigError when `config.cluster` is not a slice key."""
    start = time.perf_counter()
    clusters = cluster_labels(examples, config.cluster)
    slices, warnings = _slices(examples)
    rows, keys, n_cached = [], {}, 0
    with track("score", total=len(metrics), unit="metrics") as bar:
        for metric, stored in zip(metrics, statistics(metrics, examples, completions, store), strict=True):
            rows.append(stored.rows)
            keys[metric.name] = stored.key
            n_cached += stored.cached
            bar.advance(note=metric.name)
    ok = np.array([c.error is None for c in completions], bool)
    scorer = _Scorer(metrics, rows, ok, clusters, Resampler(config.seed, config.n_resamples), config.confidence)
    stage = StageRecord("score", digest(keys), keys, time.perf_counter() - start, len(metrics) - n_cached, n_cached)
    scores = {m.name: _per_example(m, r.scored, ok) for m, r in zip(metrics, rows, strict=True)}
    predictions = tuple(
        Prediction(example, completion, {name: values[i] for name, values in scores.items()})
        for i, (example, completion) in enumerate(zip(examples, completions, strict=True))
    )
    stats = {m.name: r.scored for m, r in zip(metrics, rows, strict=True)}
    of_references = readings(metrics, examples)
    warnings += [*reading_warnings(of_references), *_unread(metrics, stats, ok, completions)]
    results = tuple(
        replace(result, unreadable=len(read.unreadable))
        for result, read in zip(scorer.results(slices), of_references, strict=True)
    )
    return Scored(results, predictions, stats, stage, tuple(warnings))


@dataclass(frozen=True, slots=True)
class _Scorer:
    """Computes scores with intervals from the rows of all metrics, for all examples and for any subset of them."""

    metrics: Sequence[Metric]
    rows: Sequence[BoundedStatistics]
    ok: NDArray[np.bool_]
    clusters: NDArray[np.str_] | None
    resampler: Resampler
    confidence: float

    def results(self, slices: Mapping[str, Mapping[str, NDArray[np.intp]]]) -> tuple[MetricResult, ...]:
        """Return each metric's score overall and by slice."""
        overall = self.scores(np.arange(len(self.ok)))
        parts = {key: {value: self.scores(part) for value, part in values.items()} for key, values in slices.items()}
        return tuple(
            MetricResult(
                name=metric.name,
                signature=metric.signature,
                higher_is_better=metric.higher_is_better,
                interval=overall[i][1],
                score=overall[i][0],
                slices={key: {v: scores[i][0] for v, scores in values.items()} for key, values in parts.items()},
            )
            for i, metric in enumerate(self.metrics)
        )

    def scores(self, part: NDArray[np.intp]) -> list[tuple[Score, str]]:
        """Return each metric's score of the examples at these indices, and the method of its interval."""
        scored = part[self.ok[part]]
        clusters = None if self.clusters is None else self.clusters[scored]
        stats = [rows.scored[scored] for rows in self.rows]
        of_metrics = intervals(self.metrics, stats, self.resampler, clusters, self.confidence)
        errors = len(part) - len(scored)
        return [
            (self._score(metric, rows, part, interval, errors), interval.method)
            for metric, rows, interval in zip(self.metrics, self.rows, of_metrics, strict=True)
        ]

    def _score(
        self, metric: Metric, rows: BoundedStatistics, part: NDArray[np.intp], interval: Interval, errors: int
    ) -> Score:
        value = _aggregate(metric, rows.scored[part[self.ok[part]]])
        worst = best = None
        if errors and metric.higher_is_better is not None:
            worst, best = _aggregate(metric, rows.worst[part]), _aggregate(metric, rows.best[part])
        return Score(value, interval.low, interval.high, len(part) - errors, errors, worst, best)


def _unread(
    metrics: Sequence[Metric],
    stats: Mapping[str, FloatArray],
    ok: NDArray[np.bool_],
    completions: Sequence[Completion],
) -> Iterator[str]:
    """Yield how many completions some metrics found no answer in, with one of them."""
    names: dict[tuple[int, ...], list[str]] = {}
    scored = np.flatnonzero(ok)
    for metric in metrics:
        if isinstance(metric, ReadingMetric) and (rows := metric.unread(stats[metric.name][scored])):
            names.setdefault(tuple(scored[rows].tolist()), []).append(metric.name)
    for unread, of in names.items():
        first = completions[unread[0]]
        yield (
            f"{len(unread):,} of {counted(len(scored), 'completion')} hold no label that {', '.join(of)} can read, and "
            f"count as wrong, such as {first.example_id!r}: {quoted(first.text or '')}. A regular expression "
            "whose group is the label reads more: '+metrics.options.classification.pattern=\"...\"'"
        )


def _aggregate(metric: Metric, rows: FloatArray) -> float | None:
    value = float(metric.aggregate(rows.sum(axis=0))) if len(rows) else float("nan")
    return None if np.isnan(value) else value


def _per_example(metric: Metric, stats: FloatArray, ok: NDArray[np.bool_]) -> list[float | None]:
    values = np.full(len(stats), np.nan)
    if ok.any():
        values[ok] = metric.per_example(stats[ok])
    return [None if np.isnan(v) else float(v) for v in values]


def _slices(examples: Sequence[Example]) -> tuple[dict[str, dict[str, NDArray[np.intp]]], list[str]]:
    """Return the indices of each slice value's examples, and a warning for each key that has too many values."""
    indices: dict[str, dict[str, list[int]]] = {}
    for i, example in enumerate(examples):
        for key, value in example.slices.items():
            indices.setdefault(key, {}).setdefault(value, []).append(i)
    crowded = {key: len(values) for key, values in indices.items() if len(values) > MAX_SLICES}
    warnings = [f"slice key {key!r} has {n} values, more than {MAX_SLICES}: not reported" for key, n in crowded.items()]
    reported = {
        key: {value: np.array(rows) for value, rows in sorted(values.items())}
        for key, values in indices.items()
        if key not in crowded
    }
    return reported, warnings
