"""Runs whose completions a test chooses, through the shipped replay backend and the whole pipeline."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness import pipeline
from harness.config import HarnessConfig, ReplayModelConfig
from harness.store.runs import StoredRun
from harness.tasks.jsonl import Jsonl
from harness.types import Example
from tests.support.fakes import config, write_corpus

ReplayedCompletion = str | None | Mapping[str, str]
"""A completion, None for a failed one, or a whole line of the file, such as one with a finish_reason."""


def examples(folder: Path, n: int) -> tuple[Example, ...]:
    """Return the n validation examples that a replay in this folder completes, in the order of their ids."""
    data = folder / "data.jsonl"
    if not data.exists():
        write_corpus(data, n + 5)
    corpus = Jsonl(str(data), validation_pool=n).load()
    return tuple(sorted(corpus.validation, key=lambda example: example.id))


def settings(folder: Path, name: str, completions: Sequence[ReplayedCompletion]) -> HarnessConfig:
    """Return the config of a run with these completions, in the order of `examples`."""
    prompts = examples(folder, len(completions))
    path = folder / f"{name}.jsonl"
    lines = [json.dumps({"id": e.id, **_line(c)}) for e, c in zip(prompts, completions, strict=True)]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    base = config(folder, name)
    return replace(
        base,
        model=ReplayModelConfig("replay", name, path=str(path)),
        task=replace(base.task, n_validation=len(completions), validation_pool=len(completions)),
        metrics=replace(base.metrics, names=["rougeL", "exact_match", "bleu", "ter", "length_ratio"]),
        stats=replace(base.stats, n_resamples=1000),
    )


def replayed(folder: Path, name: str, completions: Sequence[ReplayedCompletion]) -> StoredRun:
    """Return the stored run of `settings`."""
    return pipeline.run(settings(folder, name, completions), f"python -m harness run name={name}")


def _line(completion: ReplayedCompletion) -> Mapping[str, str]:
    if completion is None:
        return {"error": "chosen to fail"}
    return {"completion": completion} if isinstance(completion, str) else completion
