"""Effects and interactions of settings on grids with known scores, and saturated metrics."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from harness import pipeline, registry
from harness.analysis.comparisons import Aligned
from harness.analysis.factors import Grid, effects, interactions, varied
from harness.analysis.leaderboard import by_task
from harness.analysis.metric_validity import validity
from harness.config import StatsConfig
from harness.reports.markdown.evidence import evidence_section
from harness.reports.plots import draw
from harness.store.runs import StoredRun
from harness.types import CurvePoint, FineTuneRecord
from tests.support.fakes import config
from tests.support.grids import RunSpec, metric, store

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
    grid_of_runs = Grid(Aligned(named, CONFIG), registry.metric("rougeL", {}))
    by_factor = {effect.factor: effect for effect in effects(grid_of_runs)}
    assert set(by_factor) == {"task.instruction", "generation.max_tokens"}
    short, longer_prompt_short, long, longer_prompt_long = (mean(run) for run in grid)
    limit = by_factor["generation.max_tokens"]
    assert limit.difference == pytest.approx((long + longer_prompt_long - short - longer_prompt_short) / 2, abs=1e-12)
    assert (limit.against, limit.level, limit.pairs) == ("4", "16", 2)
    assert limit.low is not None
    assert limit.high is not None
    assert limit.low < limit.difference < limit.high


def test_a_metric_at_the_floor_is_saturated(grid: list[StoredRun]) -> None:
    aligned = Aligned(grid, CONFIG)
    metrics = [registry.metric(name, {}) for name in ("exact_match", "rougeL")]
    by_metric = {v.metric: v for v in validity(aligned, metrics, aligned.compare_metrics(metrics))}
    assert by_metric["exact_match"].saturation == "floor"
    assert (by_metric["exact_match"].separated, by_metric["exact_match"].pairs) == (0, 6)
    assert by_metric["rougeL"].saturation == ""
    assert by_metric["rougeL"].separated > 0


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


RNG = np.random.default_rng(2)
N = 100
BASE = RNG.beta(5, 5, N) * 0.4
RATES, SIZES = ("0.2", "2.0"), ("20", "200")
BOTH = 0.08
"""What a high rate brings at the large size beyond what it brings at the small one."""


def run(model: str, rate: str, size: str) -> RunSpec:
    gain = 0.05 * (rate == "2.0") + 0.1 * (size == "200") + BOTH * (rate == "2.0") * (size == "200")
    gain += 0.02 * (model == "large")
    values = BASE + gain + RNG.normal(0, 0.02, N)
    settings = {"model": {"name": model}, "finetune": {"method": "lora", "rate": float(rate), "n_train": int(size)}}
    return RunSpec(f"{model}-{rate}-{size}", {"token_f1": values}, settings=settings)


GRID = [run(*settings) for settings in itertools.product(("large", "small"), RATES, SIZES)]


def toy_grid(folder: Path, runs: list[RunSpec]) -> Grid:
    return Grid(Aligned(store(folder, runs), StatsConfig(n_resamples=500)), metric("token_f1"))


def test_the_interaction_is_the_difference_of_differences(tmp_path: Path) -> None:
    by_factors = {result.factors: result for result in interactions(toy_grid(tmp_path, GRID))}
    assert set(by_factors) == {
        ("model", "finetune.rate"),
        ("model", "finetune.n_train"),
        ("finetune.rate", "finetune.n_train"),
    }
    both = by_factors["finetune.rate", "finetune.n_train"]
    values = {spec.name: np.asarray(spec.scores["token_f1"]) for spec in GRID}
    per_example = np.mean(
        [
            values[f"{m}-2.0-200"] - values[f"{m}-0.2-200"] - values[f"{m}-2.0-20"] + values[f"{m}-0.2-20"]
            for m in ("large", "small")
        ],
        axis=0,
    )
    expected = scipy.stats.ttest_1samp(per_example, 0.0)
    assert both.difference == pytest.approx(per_example.mean())
    assert both.difference == pytest.approx(BOTH, abs=0.02)
    assert (both.low, both.high) == pytest.approx(tuple(expected.confidence_interval()), abs=0.003)
    assert (both.levels, both.against, both.squares) == (("2.0", "200"), ("0.2", "20"), 2)
    assert both.p_adjusted == pytest.approx(3 / 501)  # the smallest of 500 resamples, of three
    others = [result for factors, result in by_factors.items() if "model" in factors]
    assert all(abs(result.difference) < 0.01 for result in others)


def test_effects_are_averaged_over_the_rest_of_the_grid(tmp_path: Path) -> None:
    by_factor = {effect.factor: effect for effect in effects(toy_grid(tmp_path, GRID))}
    assert by_factor["finetune.rate"].difference == pytest.approx(0.05 + BOTH / 2, abs=0.01)
    assert by_factor["finetune.n_train"].difference == pytest.approx(0.1 + BOTH / 2, abs=0.01)
    assert by_factor["model"].difference == pytest.approx(-0.02, abs=0.01)
    assert by_factor["model"].pairs == 4
    assert by_factor["model"].p_adjusted == pytest.approx(1 / 501)


def test_without_all_four_corners_there_is_no_interaction(tmp_path: Path) -> None:
    without_corner = [spec for spec in GRID if spec.name != "large-2.0-200"]
    squares = {result.factors: result.squares for result in interactions(toy_grid(tmp_path / "one", without_corner))}
    assert squares["finetune.rate", "finetune.n_train"] == 1
    three = [spec for spec in GRID if spec.name.startswith("large") and not spec.name.endswith("2.0-200")]
    assert interactions(toy_grid(tmp_path / "two", three)) == []


def test_a_group_chosen_by_name_is_one_factor(tmp_path: Path) -> None:
    prompts = [("chat", "chat", 0), ("plain", "plain", 0), ("few", "plain", 4)]
    runs = [
        RunSpec(name, {"token_f1": BASE}, settings={"prompt": {"name": name, "style": style, "shots": shots}})
        for name, style, shots in prompts
    ]
    assert varied(store(tmp_path, runs)) == {"prompt.name": ["chat", "plain", "few"]}


def test_the_report_shows_interactions_with_intervals(tmp_path: Path) -> None:
    from harness import registry

    board = by_task(store(tmp_path, GRID), registry.stored_metric)[0]
    text = "\n".join(evidence_section(board))
    assert "How much larger the effect of the first change is with the second change" in text
    assert "| finetune.rate 0.2 → 2.0 | finetune.n&#95;train 20 → 200 | +0.0" in text
