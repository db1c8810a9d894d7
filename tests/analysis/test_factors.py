"""What a setting bought is the mean difference of runs that differ in it alone; blunt metrics are called blunt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness import pipeline, registry
from harness.analysis.comparisons import Aligned
from harness.analysis.factors import Grid, effects, varied
from harness.analysis.metric_validity import validity
from harness.config import StatsConfig
from harness.reports.plots import draw
from harness.store.runs import StoredRun
from harness.types import CurvePoint, FineTuneRecord
from tests.support.fakes import config

CONFIG = StatsConfig(n_resamples=500)


@pytest.fixture
def grid(tmp_path: Path) -> list[StoredRun]:
    """Two token limits x two instructions: four runs of the fake, as if each were a fine-tune."""
    runs = []
    for limit in (4, 16):
        for instruction in ("{prompt}", "Tell me of {prompt}"):
            settings = config(tmp_path, f"{limit}-{len(instruction)}")
            settings.generation.max_tokens, settings.task.instruction = limit, instruction
            runs.append(pipeline.run(settings, "command"))
    return runs


def mean(run: StoredRun) -> float:
    return float(np.mean([p.scores["rougeL"] or 0.0 for p in run.predictions()]))


def test_only_what_was_varied_is_a_factor(grid: list[StoredRun]) -> None:
    assert varied(grid) == {
        "model": ["4-8", "4-19", "16-8", "16-19"],
        "task.instruction": ["{prompt}", "Tell me of {prompt}"],
        "generation.max_tokens": ["4", "16"],
    }


def test_an_effect_is_the_mean_difference_of_runs_that_differ_in_it_alone(grid: list[StoredRun]) -> None:
    named = [
        replace(run, result=replace(run.result, config={**run.result.config, "model": {"name": "one"}})) for run in grid
    ]
    found = {effect.factor: effect for effect in effects(Grid(Aligned(named, CONFIG), registry.metric("rougeL", {})))}
    assert set(found) == {"task.instruction", "generation.max_tokens"}
    short, told_short, long, told_long = (mean(run) for run in grid)
    limit = found["generation.max_tokens"]
    assert limit.difference == pytest.approx((long + told_long - short - told_short) / 2, abs=1e-12)
    assert (limit.against, limit.level, limit.pairs) == ("4", "16", 2)
    assert limit.low is not None
    assert limit.high is not None
    assert limit.low < limit.difference < limit.high


def test_a_metric_at_the_floor_is_called_so(grid: list[StoredRun]) -> None:
    aligned = Aligned(grid, CONFIG)
    metrics = [registry.metric(name, {}) for name in ("exact_match", "rougeL")]
    found = {v.metric: v for v in validity(aligned, metrics, aligned.compare_metrics(metrics))}
    assert found["exact_match"].saturation == "floor"
    assert (found["exact_match"].separated, found["exact_match"].pairs) == (0, 6)
    assert found["rougeL"].saturation == ""
    assert found["rougeL"].separated > 0


def test_pictures_are_drawn_for_scores_and_curves(grid: list[StoredRun], tmp_path: Path) -> None:
    from harness.analysis.leaderboard import by_task

    curve = tuple(CurvePoint(s, 10 * s, 1e-3, 2.0 / s, 2.1 / s, 0.1, 0.4 + s / 10, 0.0) for s in (1, 2))
    record = FineTuneRecord("lora", 20, 1.0, 100, 1000, 2, curve)
    tuned = [replace(run, result=replace(run.result, finetune=record)) for run in grid[:2]]
    board = by_task([*tuned, *grid[2:]], registry.stored_metric)[0]
    drawn = draw(board, tmp_path / "pictures")
    assert {"scores.svg", "curves.svg"} <= {path.name for _, path in drawn}
    assert (tmp_path / "pictures" / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "validation loss" in (tmp_path / "pictures" / "curves.svg").read_text(encoding="utf-8").lower()
