"""Stored runs with scores that a test chooses, so that the right findings about them are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness import registry
from harness.metrics.base import mean_stats
from harness.protocols import Metric
from harness.store.runs import StoredRun, save_run
from harness.types import (
    Completion,
    DatasetRecord,
    Example,
    FineTuneRecord,
    FinishReason,
    FloatArray,
    MetricResult,
    ModelIdentity,
    Prediction,
    RunResult,
    Score,
    Usage,
)


@dataclass(frozen=True)
class RunSpec:
    """One run: its scores by metric, nan for failures, and what else a test needs."""

    name: str
    scores: Mapping[str, Sequence[float] | FloatArray]
    topics: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    worst: float = 0.0
    """The score of a failed completion that is counted as wrong."""
    finetune: FineTuneRecord | None = None


def metric(name: str) -> Metric:
    """Return the shipped metric."""
    return registry.metric(name, {})


def store(folder: Path, runs: Sequence[RunSpec]) -> list[StoredRun]:
    """Save the runs, each on the same examples."""
    return [_save(folder / "runs" / f"{run.name}-0123abcd", run) for run in runs]


def _save(folder: Path, run: RunSpec) -> StoredRun:
    first = np.asarray(next(iter(run.scores.values())), float)
    n, failed = len(first), np.isnan(first)
    config: dict[str, Any] = {
        "name": run.name,
        "model": {"name": "model"},
        "task": {"labels": []},
        "metrics": {"options": {}},
        "stats": {"confidence": 0.95, "n_resamples": 500, "cluster": None},
        **run.settings,
    }
    slices = [{"topic": topic} for topic in run.topics] or [{} for _ in first]
    predictions = [
        Prediction(
            Example(f"e{i}", f"p{i}", "r", slices[i]),
            Completion(f"e{i}", None, FinishReason.ERROR, "failed")
            if failed[i]
            else Completion(f"e{i}", "text", FinishReason.STOP),
            {name: None if np.isnan(values[i]) else float(values[i]) for name, values in run.scores.items()},
        )
        for i in range(n)
    ]
    result = RunResult(
        schema_version=1,
        run_id=folder.name,
        name=run.name,
        created="2026-01-01T00:00:00+00:00",
        command="command",
        task="things",
        primary_metric=next(iter(run.scores)),
        config=config,
        model=ModelIdentity("echo", "echo"),
        parameters=run.parameters,
        dataset=DatasetRecord("things", "here", "none", "same", n, 0),
        usage=Usage(n, int(failed.sum()), 0, None, None, 1.0),
        metrics=tuple(_result(name, np.asarray(values, float), run) for name, values in run.scores.items()),
        stages=(),
        versions={},
        finetune=run.finetune,
    )
    stats = {
        name: np.where(failed[:, None], np.nan, mean_stats(np.asarray(values, float)))
        for name, values in run.scores.items()
    }
    return save_run(folder, result, predictions, stats)


def _result(name: str, values: FloatArray, run: RunSpec) -> MetricResult:
    scorer = metric(name)
    topics = np.array(run.topics)
    parts = (
        {"topic": {str(t): _score(values[topics == t], run.worst) for t in np.unique(topics)}} if len(topics) else {}
    )
    return MetricResult(name, scorer.signature, scorer.higher_is_better, "none", _score(values, run.worst), parts)


def _score(values: FloatArray, worst: float) -> Score:
    failed = np.isnan(values)
    errors, n = int(failed.sum()), int((~failed).sum())
    bounds = (float(np.where(failed, worst, values).mean()), float(np.where(failed, 1.0, values).mean()))
    return Score(
        float(values[~failed].mean()) if n else None, None, None, n, errors, *(bounds if errors else (None, None))
    )
