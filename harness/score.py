"""Completions x metrics -> results: statistics once, then scores, intervals, slices and bounds from their sums.

Statistics are stored by the metric's signature and the texts they are of, so a second run computes none. A failed
completion is left out of a score, and bounds say what the score would be with all of them wrong (the statistics of
an empty text) and all of them right (those of the reference itself).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.config import StatsConfig
from harness.digest import digest, digest_lines
from harness.errors import ConfigError, unknown
from harness.progress import track
from harness.protocols import Metric
from harness.stats.bootstrap import Resampler
from harness.stats.intervals import Interval, intervals
from harness.store import Store
from harness.types import Completion, Example, FinishReason, FloatArray, MetricResult, Prediction, Score, StageRecord

MAX_SLICES = 50
"""A slice key with more values than this is an identifier rather than a group, and is not reported."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What scoring gives: results, one prediction an example, and the statistics with nan rows for failures."""

    metrics: tuple[MetricResult, ...]
    predictions: tuple[Prediction, ...]
    stats: Mapping[str, FloatArray]
    stage: StageRecord
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Rows:
    """One metric's statistics, shape (n, k), as they are and with failed rows at their worst and best."""

    scored: FloatArray
    worst: FloatArray
    best: FloatArray


def score(
    metrics: Sequence[Metric],
    examples: Sequence[Example],
    completions: Sequence[Completion],
    config: StatsConfig,
    seed: int,
    store: Store,
) -> Scored:
    """Score aligned examples and completions; ConfigError when `config.cluster` is no slice key."""
    start = time.perf_counter()
    clusters = _clusters(examples, config.cluster)
    slices, warnings = _slices(examples)
    rows, reused = [], 0
    with track("score", total=len(metrics), unit="metrics") as bar:
        for metric in metrics:
            bar.advance(0, note=metric.name)
            found, was_there = _statistics(metric, examples, completions, store)
            rows.append(found)
            reused += was_there
            bar.advance()
    ok = np.array([c.error is None for c in completions], bool)
    scorer = _Scorer(metrics, rows, ok, clusters, Resampler(seed, config.n_resamples), config.confidence)
    keys = {m.name: digest([m.signature, _texts(examples, completions)]) for m in metrics}
    stage = StageRecord("score", digest(keys), keys, time.perf_counter() - start, len(metrics) - reused, reused)
    scores = {m.name: _per_example(m, r.scored, ok) for m, r in zip(metrics, rows, strict=True)}
    predictions = tuple(
        Prediction(example, completion, {name: values[i] for name, values in scores.items()})
        for i, (example, completion) in enumerate(zip(examples, completions, strict=True))
    )
    stats = {m.name: r.scored for m, r in zip(metrics, rows, strict=True)}
    return Scored(scorer.results(slices), predictions, stats, stage, tuple(warnings))


@dataclass(frozen=True, slots=True)
class _Scorer:
    """Turns the rows of all metrics into scores with intervals, for all examples and for any part of them."""

    metrics: Sequence[Metric]
    rows: Sequence[_Rows]
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
                slices={key: {v: found[i][0] for v, found in values.items()} for key, values in parts.items()},
            )
            for i, metric in enumerate(self.metrics)
        )

    def scores(self, part: NDArray[np.intp]) -> list[tuple[Score, str]]:
        """Return each metric's score of the examples at these indices, and how its interval was made."""
        scored = part[self.ok[part]]
        clusters = None if self.clusters is None else self.clusters[scored]
        stats = [rows.scored[scored] for rows in self.rows]
        found = intervals(self.metrics, stats, self.resampler, clusters, self.confidence)
        errors = len(part) - len(scored)
        return [
            (self._score(metric, rows, part, interval, errors), interval.method)
            for metric, rows, interval in zip(self.metrics, self.rows, found, strict=True)
        ]

    def _score(self, metric: Metric, rows: _Rows, part: NDArray[np.intp], interval: Interval, errors: int) -> Score:
        value = _aggregate(metric, rows.scored[part[self.ok[part]]])
        worst = best = None
        if errors and metric.higher_is_better is not None:
            worst, best = _aggregate(metric, rows.worst[part]), _aggregate(metric, rows.best[part])
        return Score(value, interval.low, interval.high, len(part) - errors, errors, worst, best)


def _aggregate(metric: Metric, rows: FloatArray) -> float | None:
    value = float(metric.aggregate(rows.sum(axis=0))) if len(rows) else float("nan")
    return None if np.isnan(value) else value


def _statistics(
    metric: Metric, examples: Sequence[Example], completions: Sequence[Completion], store: Store
) -> tuple[_Rows, bool]:
    """Return the metric's rows and whether they were stored."""
    ok = [i for i, c in enumerate(completions) if c.error is None]
    failed = [i for i, c in enumerate(completions) if c.error is not None]

    def make(folder: Path) -> None:
        texts = [completions[i] for i in ok] + [_finished(examples[i], text) for text in ("", None) for i in failed]
        aligned = [examples[i] for i in [*ok, *failed, *failed]]
        np.save(folder / "stats.npy", metric.stats(texts, aligned))

    inputs = {"signature": metric.signature, "texts": _texts(examples, completions)}
    folder, was_there = store.build("scores", inputs, make)
    found = np.load(folder / "stats.npy", allow_pickle=False)
    scored = np.full((len(examples), found.shape[1]), np.nan)
    scored[ok] = found[: len(ok)]
    worst, best = scored.copy(), scored.copy()
    worst[failed] = found[len(ok) : len(ok) + len(failed)]
    best[failed] = found[len(ok) + len(failed) :]
    return _Rows(scored, worst, best), was_there


def _finished(example: Example, text: str | None) -> Completion:
    return Completion(example.id, example.reference if text is None else text, FinishReason.STOP)


def _texts(examples: Sequence[Example], completions: Sequence[Completion]) -> str:
    lines = (part for e, c in zip(examples, completions, strict=True) for part in (e.prompt, e.reference, _text(c)))
    return digest_lines(lines)


def _text(completion: Completion) -> str:
    return "\x00error" if completion.text is None else completion.text


def _per_example(metric: Metric, stats: FloatArray, ok: NDArray[np.bool_]) -> list[float | None]:
    values = np.full(len(stats), np.nan)
    if ok.any():
        values[ok] = metric.per_example(stats[ok])
    return [None if np.isnan(v) else float(v) for v in values]


def _clusters(examples: Sequence[Example], key: str | None) -> NDArray[np.str_] | None:
    if key is None:
        return None
    keys = {k for e in examples for k in e.slices}
    if any(key not in e.slices for e in examples):
        raise ConfigError(f"stats.cluster: {unknown('slice key of every example', key, keys)}")
    return np.array([e.slices[key] for e in examples])


def _slices(examples: Sequence[Example]) -> tuple[dict[str, dict[str, NDArray[np.intp]]], list[str]]:
    """Return the indices of each slice value's examples, and a warning for each key that has too many values."""
    found: dict[str, dict[str, list[int]]] = {}
    for i, example in enumerate(examples):
        for key, value in example.slices.items():
            found.setdefault(key, {}).setdefault(value, []).append(i)
    crowded = {key: len(values) for key, values in found.items() if len(values) > MAX_SLICES}
    warnings = [f"slice key {key!r} has {n} values, more than {MAX_SLICES}: not reported" for key, n in crowded.items()]
    kept = {
        key: {value: np.array(rows) for value, rows in sorted(values.items())}
        for key, values in found.items()
        if key not in crowded
    }
    return kept, warnings
