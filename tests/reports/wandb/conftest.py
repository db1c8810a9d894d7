"""Two stored runs of the shipped fake with texts that mean harm, one of them as if fine-tuned."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import pipeline, registry
from harness.analysis.leaderboard import Leaderboard, by_task
from harness.store.runs import StoredRun, load_run, save_run
from harness.types import CurvePoint, FineTuneRecord, StageRecord
from tests.support.fakes import config

HOSTILE = ("=1+1", "a|b <b>c</b> [d](http://e)", "bell \x07 and \u202eback", 'quote " and \\ slash', "line ⏎ 漢字 🎉")
CURVE = (
    CurvePoint(5, 20, 1e-3, 2.5, 2.4, 0.1, 0.4, 0.0),
    CurvePoint(10, 40, 5e-4, 1.5, 1.8, 0.2, 0.6, 0.25),
    CurvePoint(15, 60, 0.0, 1.0, 2.0, 0.3, 0.5, 0.125),
)


def tuned(run: StoredRun) -> StoredRun:
    """Store the run again as one of a fine-tune: with a learning curve, a stage and settings of its own."""
    record = FineTuneRecord("lora", 20, 12.5, 4096, 900, 10, CURVE)
    stage = StageRecord("finetune", "f" * 16, {"base": "b" * 16, "train": "t" * 16}, 12.5, 1, 0)
    settings = {**run.result.config, "finetune": {"method": "lora", "n_train": 20, "learning_rate_multiplier": 0.5}}
    result = dataclasses.replace(
        run.result, finetune=record, stages=(*run.result.stages, stage), config=settings, parameters=1_000_000
    )
    return save_run(run.folder, result, run.predictions(), run.stats().metrics)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[StoredRun]:
    folder = tmp_path_factory.mktemp("runs")
    with (folder / "data.jsonl").open("w", encoding="utf-8") as stream:
        for i in range(30):
            row = {
                "id": f"e{i}",
                "prompt": f"{HOSTILE[i % 5]} {i}",
                "completion": f"reference {i}",
                "topic": f"t{i % 3}",
            }
            stream.write(json.dumps(row) + "\n")
    plain = pipeline.run(config(folder, "plain"), "python -m harness run")
    failing = pipeline.run(config(folder, "tuned", error_rate=0.3), "python -m harness run")
    return [load_run(plain.folder), tuned(failing)]


@pytest.fixture(scope="module")
def board(runs: list[StoredRun]) -> Leaderboard:
    return by_task(runs, registry.stored_metric)[0]


@pytest.fixture(scope="session")
def inspect() -> Callable[..., Any]:
    """Read an offline run with W&B's own tool: its records, or with `--summary` one object."""

    def read(folder: Path, *options: str) -> Any:
        command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", *options, str(folder)]
        text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        return json.loads(text) if options else [json.loads(line) for line in text.splitlines()]

    return read
