"""Stored runs are compared on the examples that they share; runs without comparable scores are refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from harness import pipeline, registry
from harness.analysis.comparisons import Aligned
from harness.analysis.leaderboard import by_task, stats_config
from harness.analysis.training_seeds import compare_recipes, recipes
from harness.config import StatsConfig
from harness.errors import StoreError
from harness.store.runs import StoredRun, save_run
from tests.support.fakes import config
from tests.support.sampled import right_or_wrong, sampled

CONFIG = StatsConfig(n_resamples=500)


@pytest.fixture
def runs(tmp_path: Path) -> list[StoredRun]:
    good, bad = config(tmp_path, "good"), config(tmp_path, "bad")
    bad.task.instruction = "Tell me all there is to tell about {prompt}"
    return [pipeline.run(settings, "command") for settings in (good, bad)]


def rouge(runs: Sequence[StoredRun]) -> list[list[float]]:
    return [[p.scores["rougeL"] or 0.0 for p in run.predictions()] for run in runs]


def test_the_difference_is_that_of_the_paired_scores(runs: list[StoredRun]) -> None:
    comparison = Aligned(runs, CONFIG).compare(registry.metric("rougeL", {})).pairs[0].comparison
    first, second = rouge(runs)
    assert comparison.difference == pytest.approx(np.mean(first) - np.mean(second), abs=1e-12)
    assert comparison.p == pytest.approx(stats.wilcoxon(first, second).pvalue, abs=0.01)
    assert comparison.sample.n == 12


def test_examples_are_matched_by_id_whatever_their_order(runs: list[StoredRun], tmp_path: Path) -> None:
    second = runs[1]
    predictions, stored = second.predictions()[::-1], second.stats()
    turned = {name: values[::-1] for name, values in stored.metrics.items()}
    backwards = save_run(tmp_path / "backwards", second.result, predictions, turned)
    metric = registry.metric("rougeL", {})
    assert Aligned([runs[0], backwards], CONFIG).compare(metric) == Aligned(runs, CONFIG).compare(metric)


def test_only_shared_examples_count_and_the_others_are_reported(runs: list[StoredRun], tmp_path: Path) -> None:
    fewer = pipeline.run(config(tmp_path, "fewer", n=9), "command")
    aligned = Aligned([runs[0], fewer], CONFIG)
    assert aligned.n == 9
    assert aligned.left_out == "left out: 3 examples not in all runs"


def test_failures_are_left_out_and_reported(runs: list[StoredRun], tmp_path: Path) -> None:
    failing = pipeline.run(config(tmp_path, "failing", error_rate=0.5), "command")
    aligned = Aligned([runs[0], failing], CONFIG)
    assert aligned.n == failing.result.usage.n - failing.result.usage.errors
    assert "with a failed completion in some run" in aligned.left_out


def test_other_examples_are_refused(runs: list[StoredRun], tmp_path: Path) -> None:
    second = runs[1]
    renamed = [replace(p, example=replace(p.example, id=f"x{p.example.id}")) for p in second.predictions()]
    other = save_run(tmp_path / "other", second.result, renamed, second.stats().metrics)
    with pytest.raises(StoreError, match="no example in common"):
        Aligned([runs[0], other], CONFIG)


def test_other_tasks_are_refused_even_with_equal_example_ids(runs: list[StoredRun], tmp_path: Path) -> None:
    second = runs[1]
    elsewhere = replace(second.result, task="elsewhere")
    other = save_run(tmp_path / "other", elsewhere, second.predictions(), second.stats().metrics)
    with pytest.raises(StoreError, match="Expected runs of one task, got things and elsewhere"):
        Aligned([runs[0], other], CONFIG)


def test_other_signatures_are_refused(runs: list[StoredRun], tmp_path: Path) -> None:
    settings = config(tmp_path, "unstemmed")
    settings.metrics.options = {"rougeL": {"stem": False}}
    unstemmed = pipeline.run(settings, "command")
    with pytest.raises(StoreError, match="rougeL is not comparable"):
        Aligned([runs[0], unstemmed], CONFIG).compare(registry.metric("rougeL", {}))


def test_the_verdict_ships_a_clear_winner(runs: list[StoredRun]) -> None:
    board = by_task(runs[::-1], registry.stored_metric)[0]
    assert [entry.run.result.name for entry in board.entries] == ["good", "bad"]
    assert [entry.group for entry in board.entries] == ["a", "b"]
    assert board.verdict.decision == "ship"
    assert board.verdict.text.startswith("Ship good: it is significantly better than bad, the next best run (rougeL +")


def test_the_verdict_of_a_tie_gives_the_examples_needed(tmp_path: Path) -> None:
    first, second = config(tmp_path, "first", n=4), config(tmp_path, "second", n=4)
    second.task.instruction = "Tell {prompt}"
    runs = [pipeline.run(settings, "command") for settings in (first, second)]
    board = by_task(runs, registry.stored_metric)[0]
    assert board.verdict.decision == "not enough data"
    assert {entry.group for entry in board.entries} == {"a"}
    assert "examples would decide it if the differences stay the same (4 now)" in board.verdict.text


def test_runs_on_other_examples_have_a_leaderboard_of_their_own(runs: list[StoredRun], tmp_path: Path) -> None:
    fewer = pipeline.run(config(tmp_path, "fewer", n=9), "command")
    assert [len(board.entries) for board in by_task([*runs, fewer], registry.stored_metric)] == [2, 1]


def test_slices_are_compared_within_themselves(runs: list[StoredRun]) -> None:
    aligned = Aligned(runs, CONFIG)
    by_slice = aligned.compare_parts(registry.metric("rougeL", {}))
    assert sorted(by_slice) == [("topic", "maths"), ("topic", "people"), ("topic", "places")]
    assert sum(comparison.sample.n for comparison in by_slice.values()) == 12
    rows = [p for p in runs[0].predictions() if p.example.slices["topic"] == "maths"]
    others = {p.example.id: p.scores["rougeL"] or 0.0 for p in runs[1].predictions()}
    expected = np.mean([(p.scores["rougeL"] or 0.0) - others[p.example.id] for p in rows])
    assert by_slice["topic", "maths"].difference == pytest.approx(expected, abs=1e-12)


REPLICATES: list[dict[str, object]] = [
    {"generation": {"seed": 1}},
    {"finetune": {"method": "none", "seed": 1}},
    {"seed": 1},  # of an earlier version
]


@pytest.mark.parametrize("changed", REPLICATES)
def test_runs_that_differ_only_in_a_seed_are_one_recipe(runs: list[StoredRun], changed: dict[str, object]) -> None:
    changed = {key: {**runs[0].result.config[key], **v} if isinstance(v, dict) else v for key, v in changed.items()}
    again = []
    for run, name in zip(runs, ("good-2", "bad-2"), strict=True):
        config = {**run.result.config, "name": name, **changed}
        again.append(replace(run, result=replace(run.result, name=name, config=config)))
    everything = [runs[0], again[0], runs[1], again[1]]
    assert [recipe.runs for recipe in recipes(everything)] == [(0, 1), (2, 3)]
    metric = registry.metric("rougeL", {})
    [pair] = compare_recipes(Aligned(everything, CONFIG), metric)
    single = Aligned(runs, CONFIG).compare(metric).pairs[0].comparison
    assert pair.comparison.difference == pytest.approx(single.difference)
    assert "2 and 2 training runs" in pair.comparison.method
    assert compare_recipes(Aligned(runs, CONFIG), metric) == ()


@pytest.mark.parametrize("group", ["task", "stats"])
def test_other_examples_or_resamples_are_no_replicates(runs: list[StoredRun], group: str) -> None:
    result, key = runs[0].result, {"task": "sample_seed", "stats": "seed"}[group]
    config = {**result.config, group: {**result.config[group], key: 1}}
    other = replace(runs[0], result=replace(result, config=config))
    assert [recipe.runs for recipe in recipes([runs[0], other])] == [(0,), (1,)]


def test_samples_of_a_prompt_are_compared_as_one_cluster(tmp_path: Path) -> None:
    n, n_samples = 30, 4
    right = [right_or_wrong(n, n_samples, 3.0, seed) for seed in (1, 2)]
    right[1] &= right_or_wrong(n, n_samples, 0.1, 3)
    first, second = (sampled(tmp_path, name, values) for name, values in zip("ab", right, strict=True))
    aligned = Aligned([first, second], CONFIG)
    for name in ("exact_match", "rougeL"):
        comparison = aligned.compare(registry.metric(name, {})).pairs[0].comparison
        means = np.array([right[0][i].mean() - right[1][i].mean() for i in range(n)])
        assert (comparison.sample.n, comparison.sample.units) == (n * n_samples, n)
        if name == "exact_match":
            assert comparison.difference == pytest.approx(means.mean())
            assert comparison.standard_error == pytest.approx(stats.sem(means))
            assert comparison.p == pytest.approx(stats.ttest_1samp(means, 0.0).pvalue, abs=0.03)
    once = sampled(tmp_path, "once", right[1][:, :1])
    for runs in ([first, once], [once, first]):
        aligned = Aligned(runs, CONFIG)
        assert (aligned.n, aligned.clusters) == (n, None), "one sample of each prompt is an example of its own"
        assert aligned.left_out == f"left out: {n * (n_samples - 1)} examples not in all runs"


def test_the_intervals_of_an_earlier_version_are_seeded_as_they_were(runs: list[StoredRun]) -> None:
    result = runs[0].result
    stats_then = {key: value for key, value in result.config["stats"].items() if key != "seed"}
    config = {**result.config, "seed": 7, "stats": stats_then}
    assert stats_config(replace(result, config=config)) == StatsConfig(n_resamples=200, seed=7)
    assert stats_config(result).seed == 0


def test_the_seed_of_statistics_seeds_comparisons(runs: list[StoredRun]) -> None:
    first, other = (
        Aligned(runs, replace(CONFIG, seed=seed)).compare(registry.metric("rougeL", {})).pairs[0].comparison
        for seed in (0, 1)
    )
    assert first.difference == other.difference
    assert first.low != other.low
