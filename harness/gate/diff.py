"""What a run changes against a baseline: model, data, settings, signatures, scores, and what moved most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from harness import registry
from harness.analysis import leaderboard
from harness.errors import StoreError
from harness.gate.baseline import MACHINE, Baseline
from harness.gate.pairing import Paired, answers_of, require_same
from harness.protocols import Metric
from harness.stats.bootstrap import Resampler
from harness.stats.comparison import Comparison, Question
from harness.stats.paired import compare
from harness.store.runs import StoredRun
from harness.types import MetricResult


@dataclass(frozen=True, slots=True)
class Change:
    """One setting or identity, before and after."""

    what: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """A metric's scores and, where the two compare, their paired difference with its interval."""

    metric: str
    before: float | None
    after: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""
    """Why there is no difference."""


@dataclass(frozen=True, slots=True)
class Moved:
    """An example whose score on the primary metric changed, with both completions."""

    prompt: str
    before: float
    after: float
    said_before: str | None
    said_after: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """All that a run changes."""

    settings: tuple[Change, ...]
    scores: tuple[ScoreChange, ...]
    same_completions: int | None
    """Of the shared examples; None where the examples are not the same."""
    moved: tuple[Moved, ...]
    """The most moved first, up or down."""


def changes(baseline: Baseline, run: StoredRun) -> Changes:
    """Return what a run changes; only what compares has a difference."""
    settings, examples = tuple(_settings(baseline, run)), [p.example for p in run.predictions()]
    scores: dict[str, ScoreChange] = {}
    for name, theirs, ours in _metrics(baseline, run):
        values = (theirs.score.value if theirs else None, ours.score.value if ours else None)
        try:
            require_same(baseline, run.result.task, examples, {name: ours.signature if ours else "not scored"})
            scores[name] = ScoreChange(name, *values)
        except StoreError as error:
            scores[name] = ScoreChange(name, *values, note=str(error))
    metrics = [registry.stored_metric(run, name) for name, score in scores.items() if not score.note]
    if not metrics:
        return Changes(settings, tuple(scores.values()), None, ())
    paired = Paired(baseline, answers_of(run, metrics))
    for metric, found in zip(metrics, _compared(paired, metrics), strict=True):
        named = scores[metric.name]
        scores[metric.name] = replace(named, difference=found.difference, low=found.low, high=found.high)
    primary = next((m for m in metrics if m.name == baseline.result.primary_metric), metrics[0])
    return Changes(settings, tuple(scores.values()), int(paired.same.sum()), tuple(_moved(paired, primary)))


def _compared(paired: Paired, metrics: Sequence[Metric]) -> Iterator[Comparison]:
    accepted = paired.baseline.result
    config = leaderboard.stats_config(accepted)
    resampler, clusters = Resampler(accepted.config["seed"], config.n_resamples), paired.clusters(config.cluster)
    labels = None if clusters is None else clusters[paired.used]
    for metric in metrics:
        ours, theirs = (stats[paired.used] for stats in paired.stats(metric.name))
        yield compare(metric, ours, theirs, resampler, labels, Question(config.confidence))


def _metrics(baseline: Baseline, run: StoredRun) -> Iterator[tuple[str, MetricResult | None, MetricResult | None]]:
    """Yield every metric of either, with its result before and after."""
    before, after = baseline.result, run.result
    for name in dict.fromkeys([m.name for m in (*before.metrics, *after.metrics)]):
        yield name, before.metric(name), after.metric(name)


def _settings(baseline: Baseline, run: StoredRun) -> Iterator[Change]:
    before, after = baseline.result, run.result
    for name in ("task", "name"):
        yield from _leaves(name, getattr(before, name), getattr(after, name))
    yield from _leaves("model", asdict(before.model), asdict(after.model))
    for name in ("fingerprint", "source", "n_validation"):
        yield from _leaves(f"data.{name}", getattr(before.dataset, name), getattr(after.dataset, name))
    kept = {key: value for key, value in after.config.items() if key not in MACHINE}
    yield from _leaves("config", dict(before.config), kept)
    for name, theirs, ours in _metrics(baseline, run):
        yield from _leaves(f"signature.{name}", theirs and theirs.signature, ours and ours.signature)
    for name in ("errors", "truncated"):
        yield from _leaves(f"completions.{name}", getattr(before.usage, name), getattr(after.usage, name))
    yield from _leaves("versions", dict(before.versions), dict(after.versions))


def _leaves(what: str, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from _leaves(f"{what}.{key}", before.get(key), after.get(key))
    elif before != after:
        yield Change(what, before, after)


def _moved(paired: Paired, metric: Metric) -> Iterator[Moved]:
    ours, theirs = (metric.per_example(rows) for rows in paired.stats(metric.name))
    for i in paired.used[np.argsort(-np.abs(ours - theirs)[paired.used], kind="stable")]:
        if ours[i] != theirs[i]:
            accepted, completion = paired.accepted[i], paired.answers.completions[i]
            yield Moved(accepted.prompt, float(theirs[i]), float(ours[i]), accepted.completion, completion.text)
