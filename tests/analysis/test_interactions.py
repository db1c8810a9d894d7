"""A toy grid with known effects: what each setting brings, and how much more two bring together."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from harness.analysis.comparisons import Aligned
from harness.analysis.factors import Grid, effects, interactions, varied
from harness.analysis.leaderboard import by_task
from harness.config import StatsConfig
from harness.reports.markdown.evidence import evidence_section
from tests.support.grids import Made, metric, store

RNG = np.random.default_rng(2)
N = 100
BASE = RNG.beta(5, 5, N) * 0.4
RATES, SIZES = ("0.2", "2.0"), ("20", "200")
BOTH = 0.08
"""What a high rate brings at the large size beyond what it brings at the small one."""


def run(model: str, rate: str, size: str) -> Made:
    gain = 0.05 * (rate == "2.0") + 0.1 * (size == "200") + BOTH * (rate == "2.0") * (size == "200")
    gain += 0.02 * (model == "large")
    values = BASE + gain + RNG.normal(0, 0.02, N)
    settings = {"model": {"name": model}, "finetune": {"method": "lora", "rate": float(rate), "n_train": int(size)}}
    return Made(f"{model}-{rate}-{size}", {"token_f1": values}, settings=settings)


GRID = [run(*each) for each in itertools.product(("large", "small"), RATES, SIZES)]


def grid(folder: Path, made: list[Made]) -> Grid:
    return Grid(Aligned(store(folder, made), StatsConfig(n_resamples=500)), metric("token_f1"))


def test_the_interaction_is_the_difference_of_differences(tmp_path: Path) -> None:
    found = {each.factors: each for each in interactions(grid(tmp_path, GRID))}
    assert set(found) == {
        ("model", "finetune.rate"),
        ("model", "finetune.n_train"),
        ("finetune.rate", "finetune.n_train"),
    }
    both = found["finetune.rate", "finetune.n_train"]
    values = {each.name: np.asarray(each.scores["token_f1"]) for each in GRID}
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
    others = [each for factors, each in found.items() if "model" in factors]
    assert all(abs(each.difference) < 0.01 for each in others)


def test_effects_are_averaged_over_the_rest_of_the_grid(tmp_path: Path) -> None:
    found = {each.factor: each for each in effects(grid(tmp_path, GRID))}
    assert found["finetune.rate"].difference == pytest.approx(0.05 + BOTH / 2, abs=0.01)
    assert found["finetune.n_train"].difference == pytest.approx(0.1 + BOTH / 2, abs=0.01)
    assert found["model"].difference == pytest.approx(-0.02, abs=0.01)
    assert found["model"].pairs == 4
    assert found["model"].p_adjusted == pytest.approx(1 / 501)


def test_without_all_four_corners_there_is_no_interaction(tmp_path: Path) -> None:
    corner = [each for each in GRID if each.name != "large-2.0-200"]
    found = {each.factors: each.squares for each in interactions(grid(tmp_path / "one", corner))}
    assert found["finetune.rate", "finetune.n_train"] == 1
    line = [each for each in GRID if each.name.startswith("large") and not each.name.endswith("2.0-200")]
    assert interactions(grid(tmp_path / "two", line)) == []


def test_a_group_chosen_by_name_is_one_factor(tmp_path: Path) -> None:
    prompts = [("chat", "chat", 0), ("plain", "plain", 0), ("few", "plain", 4)]
    made = [
        Made(name, {"token_f1": BASE}, settings={"prompt": {"name": name, "style": style, "shots": shots}})
        for name, style, shots in prompts
    ]
    assert varied(store(tmp_path, made)) == {"prompt.name": ["chat", "plain", "few"]}


def test_the_report_shows_interactions_with_intervals(tmp_path: Path) -> None:
    from harness import registry

    board = by_task(store(tmp_path, GRID), registry.stored_metric)[0]
    text = "\n".join(evidence_section(board))
    assert "How much more the first change brings together with the second one" in text
    assert "| finetune.rate 0.2 → 2.0 | finetune.n&#95;train 20 → 200 | +0.0" in text
