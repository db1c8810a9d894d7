"""What changes from a baseline to a run: model, data, settings, signatures, scores, and the examples behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from harness import registry
from harness.analysis.comparisons import signature_of
from harness.analysis.leaderboard import stats_config
from harness.config.decides import affecting
from harness.errors import StoreError
from harness.gate.baseline import Baseline
from harness.gate.pairing import Paired, output_of, require_comparable
from harness.protocols import Metric
from harness.stats.bootstrap import Resampler
from harness.stats.comparison import Comparison, Question
from harness.stats.paired import compare
from harness.store.runs import StoredRun
from harness.types import MetricResult


@dataclass(frozen=True, slots=True)
class SettingChange:
    """One setting or part of an identity, before and after."""

    what: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """The scores of a metric and, if they are comparable, their paired difference with its interval."""

    metric: str
    before: float | None
    after: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""
    """Why there is no difference."""


@dataclass(frozen=True, slots=True)
class ExampleChange:
    """An example whose score on the primary metric changed, with both completions."""

    prompt: str
    before: float
    after: float
    completion_before: str | None
    completion_after: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """All changes from a baseline to a run."""

    settings: tuple[SettingChange, ...]
    scores: tuple[ScoreChange, ...]
    same_completions: int | None
    """How many completions are equal; None if the examples are not the same."""
    examples: tuple[ExampleChange, ...]
    """The largest changes first, up or down."""

    def as_json(self) -> dict[str, Any]:
        """Return the changes as plain JSON values."""
        moved = [
            {
                "prompt": example.prompt,
                "before": example.before,
                "after": example.after,
                "said_before": example.completion_before,
                "said_after": example.completion_after,
            }
            for example in self.examples
        ]
        return {
            "settings": [asdict(change) for change in self.settings],
            "scores": [asdict(change) for change in self.scores],
            "same_completions": self.same_completions,
            "moved": moved,
        }


def changes(baseline: Baseline, run: StoredRun) -> Changes:
    """Return what differs between a baseline and a run; scores that are not comparable have no difference."""
    settings, examples = tuple(_settings(baseline, run)), [p.example for p in run.predictions()]
    scores: dict[str, ScoreChange] = {}
    for name, before, after in _metrics(baseline, run):
        values = before.score.value if before else None, after.score.value if after else None
        try:
            require_comparable(baseline, run.result.task, examples, {name: signature_of(run, name)})
            scores[name] = ScoreChange(name, *values)
        except StoreError as error:
            scores[name] = ScoreChange(name, *values, note=str(error))
    metrics = [registry.stored_metric(run, name) for name, score in scores.items() if not score.note]
    if not metrics:
        return Changes(settings, tuple(scores.values()), None, ())
    paired = Paired(baseline, output_of(run, metrics))
    for metric, comparison in zip(metrics, _compare(paired, metrics), strict=True):
        scores[metric.name] = replace(
            scores[metric.name], difference=comparison.difference, low=comparison.low, high=comparison.high
        )
    primary = next((m for m in metrics if m.name == baseline.result.primary_metric), metrics[0])
    same = int(paired.same.sum())
    return Changes(settings, tuple(scores.values()), same, tuple(_example_changes(paired, primary)))


def _compare(paired: Paired, metrics: Sequence[Metric]) -> Iterator[Comparison]:
    accepted = paired.baseline.result
    config = stats_config(accepted)
    resampler, clusters = Resampler(config.seed, config.n_resamples), paired.clusters(config.cluster)
    labels = None if clusters is None else clusters[paired.used]
    for metric in metrics:
        candidate, baseline = (stats[paired.used] for stats in paired.stats(metric.name))
        yield compare(metric, candidate, baseline, resampler, labels, Question(config.confidence))


def _metrics(baseline: Baseline, run: StoredRun) -> Iterator[tuple[str, MetricResult | None, MetricResult | None]]:
    """Yield every metric of either, with its result before and after."""
    before, after = baseline.result, run.result
    for name in dict.fromkeys([m.name for m in (*before.metrics, *after.metrics)]):
        yield name, before.metric(name), after.metric(name)


def _settings(baseline: Baseline, run: StoredRun) -> Iterator[SettingChange]:
    before, after = baseline.result, run.result
    for name in ("task", "name"):
        yield from _leaves(name, getattr(before, name), getattr(after, name))
    yield from _leaves("model", asdict(before.model), asdict(after.model))
    for name in ("fingerprint", "source", "n_validation", "n_samples"):
        yield from _leaves(f"data.{name}", getattr(before.dataset, name), getattr(after.dataset, name))
    yield from _leaves("config", affecting(before.config, labels=True), affecting(after.config, labels=True))
    for name, old, new in _metrics(baseline, run):
        yield from _leaves(f"signature.{name}", old and old.signature, new and new.signature)
    for name in ("errors", "truncated"):
        yield from _leaves(f"completions.{name}", getattr(before.usage, name), getattr(after.usage, name))
    yield from _leaves("versions", dict(before.versions), dict(after.versions))


def _leaves(what: str, before: Any, after: Any) -> Iterator[SettingChange]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from _leaves(f"{what}.{key}", before.get(key), after.get(key))
    elif before != after:
        yield SettingChange(what, before, after)


def _example_changes(paired: Paired, metric: Metric) -> Iterator[ExampleChange]:
    candidate, baseline = paired.per_example(metric)
    for i in paired.used[np.argsort(-np.abs(candidate - baseline)[paired.used], kind="stable")]:
        if candidate[i] != baseline[i]:
            accepted, completion = paired.accepted[i], paired.candidate.completions[i]
            scores = float(baseline[i]), float(candidate[i])
            yield ExampleChange(accepted.prompt, *scores, accepted.completion, completion.text)
