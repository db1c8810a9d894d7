"""Unpaired comparisons of runs on different examples; runs on the same examples are refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from harness import pipeline, registry
from harness.__main__ import main
from harness.analysis.unpaired import UnpairedComparison, compare_runs
from harness.config import StatsConfig
from harness.errors import ConfigError, StoreError
from harness.reports.terminal.comparison import UNPAIRED_NOTE, print_unpaired
from harness.store.runs import StoredRun, save_run
from tests.support.fakes import config

CONFIG = StatsConfig(n_resamples=4000)


@pytest.fixture
def runs(tmp_path: Path) -> list[StoredRun]:
    good, bad = config(tmp_path, "good"), config(tmp_path, "bad")
    bad.task.instruction = "Tell me all there is to tell about {prompt}"
    first, second = (pipeline.run(settings, "command") for settings in (good, bad))
    return [first, renamed(second, tmp_path / "other", shared=0)]


def renamed(run: StoredRun, folder: Path, shared: int) -> StoredRun:
    """Copy a run as if its examples, but for the first `shared`, were others."""
    predictions = [
        p if i < shared else replace(p, example=replace(p.example, id=f"x{p.example.id}"))
        for i, p in enumerate(run.predictions())
    ]
    return save_run(folder, run.result, predictions, run.stats().metrics)


def compare(runs: Sequence[StoredRun], settings: StatsConfig = CONFIG) -> UnpairedComparison:
    return compare_runs(runs, ["rougeL", "bleu"], registry.stored_metric, settings)


def test_the_difference_is_that_of_two_samples(runs: list[StoredRun]) -> None:
    own = compare(runs).findings[0]
    first, second = ([p.scores["rougeL"] or 0.0 for p in run.predictions()] for run in runs)
    welch = scipy.stats.ttest_ind(first, second, equal_var=False)
    low, high = welch.confidence_interval()
    assert own.comparison.difference == pytest.approx(np.mean(first) - np.mean(second), abs=1e-12)
    assert (own.comparison.low, own.comparison.high) == pytest.approx((low, high), abs=0.15 * (high - low))
    assert own.p_adjusted is not None
    assert not own.comparison.sample.paired
    assert compare(runs).remarks == ()


def test_the_output_says_that_it_is_unpaired(runs: list[StoredRun], capsys: pytest.CaptureFixture[str]) -> None:
    print_unpaired(compare(runs))
    shown = " ".join(capsys.readouterr().out.split())
    assert "good minus bad, unpaired" in shown
    assert UNPAIRED_NOTE in shown


def test_clusters_are_resampled_whole(runs: list[StoredRun]) -> None:
    sample = compare(runs, StatsConfig(n_resamples=4000, cluster="topic")).findings[0].comparison.sample
    assert sample.n == 3


def test_shared_examples_are_reported(runs: list[StoredRun], tmp_path: Path) -> None:
    some = renamed(pipeline.run(config(tmp_path, "bad"), "command"), tmp_path / "some", shared=5)
    [remark] = compare([runs[0], some]).remarks
    assert remark.startswith("5 examples in both runs")


def test_failures_are_left_out_and_reported(runs: list[StoredRun], tmp_path: Path) -> None:
    failing = pipeline.run(config(tmp_path, "failing", error_rate=0.5), "command")
    other = renamed(failing, tmp_path / "failing-elsewhere", shared=0)
    own = compare([runs[0], other])
    errors = other.result.usage.errors
    assert errors
    assert own.remarks == (f"failing: {errors} failed completions left out",)
    assert own.findings[0].comparison.sample.n == 12 - errors


def test_incomparable_runs_are_refused(runs: list[StoredRun], tmp_path: Path) -> None:
    same = pipeline.run(config(tmp_path, "same"), "command")
    elsewhere = replace(runs[1], result=replace(runs[1].result, task="elsewhere"))
    unstemmed = config(tmp_path, "unstemmed")
    unstemmed.metrics.options = {"rougeL": {"stem": False}}
    other = renamed(pipeline.run(unstemmed, "command"), tmp_path / "unstemmed", shared=0)
    refused: list[tuple[list[StoredRun], type[Exception], str]] = [
        ([runs[0], same], StoreError, "Leave --unpaired out"),
        ([runs[0], elsewhere], StoreError, "Expected runs of one task, got things and elsewhere"),
        ([runs[0], other], StoreError, "rougeL is not comparable"),
        ([runs[0]], ConfigError, "expected two runs, got 1"),
        ([*runs, same], ConfigError, "expected two runs, got 3"),
    ]
    for chosen, error, message in refused:
        with pytest.raises(error, match=message):
            compare(chosen)


def test_the_command_line_compares_unpaired(
    runs: list[StoredRun], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["compare", *(str(run.folder) for run in runs), "--unpaired", "--store", str(tmp_path / "store")]
    assert main([*command, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["unpaired"] is True
    assert shown["pairs"][0]["sample"]["paired"] is False
    assert {pair["metric"] for pair in shown["pairs"]} == {"exact_match", "rougeL", "bleu"}
    assert main([*command, "--metric", "rougeL"]) == 0
    assert "unpaired" in capsys.readouterr().out
    assert main(["compare", str(runs[0].folder), str(runs[0].folder), "--unpaired"]) == 2
