"""Runs with several samples of each prompt, whose scores a test chooses: a completion is the reference, or not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness import pipeline
from harness.config import HarnessConfig, ReplayModelConfig
from harness.store.runs import StoredRun
from harness.tasks.samples import sample_id
from tests.support.fakes import config
from tests.support.replays import examples

METRICS = ["exact_match", "rougeL", "bleu"]


def right_or_wrong(n: int, n_samples: int, spread: float, seed: int) -> NDArray[np.bool_]:
    """Return whether each sample is right, shape (n, n_samples); prompts differ in how often, the more the `spread`."""
    rng = np.random.default_rng(seed)
    shares = rng.beta(1 / spread, 1 / spread, n)
    return np.asarray(rng.random((n, n_samples)) < shares[:, None])


def settings(folder: Path, name: str, right: NDArray[np.bool_]) -> HarnessConfig:
    """Return the config of a run in which each sample is right, or wrong, as in `right`, shape (n, n_samples)."""
    n, n_samples = right.shape
    rows = [
        {"id": sample_id(example.id, k), "completion": example.reference if right[i, k] else f"Not that, {name}."}
        for i, example in enumerate(examples(folder, n))
        for k in range(n_samples)
    ]
    path = folder / f"{name}.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    base = config(folder, name)
    return replace(
        base,
        model=ReplayModelConfig("replay", name, path=str(path)),
        task=replace(base.task, n_validation=n, validation_pool=n),
        generation=replace(base.generation, n=n_samples),
        metrics=replace(base.metrics, names=METRICS),
        stats=replace(base.stats, n_resamples=2000),
    )


def sampled(folder: Path, name: str, right: NDArray[np.bool_]) -> StoredRun:
    """Return the stored run of `settings`."""
    return pipeline.run(settings(folder, name, right), f"python -m harness run name={name}")


def by_prompt(run: StoredRun, metric: str) -> dict[str, Sequence[float]]:
    """Return the scores of each prompt's samples, by the id of its first one."""
    scores: dict[str, list[float]] = {}
    for prediction in run.predictions():
        example, value = prediction.example, prediction.scores[metric]
        scores.setdefault(example.sample_of or example.id, []).append(float("nan") if value is None else value)
    return scores  # type: ignore[return-value]
