"""The jobs of a sweep are counted before they begin, and each writes its result."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from harness.cli import sweep
from harness.cli.sweep import CountJobs, JobResult


@pytest.mark.parametrize(
    ("parameters", "overrides", "jobs"),
    [
        ({}, ["prompt=chat,plain"], 2),
        ({"model": "a,b,c", "finetune.n_train": "20,200"}, ["+sweep=grid"], 6),
        ({"model": "a,b,c", "finetune.n_train": "20,200"}, ["+sweep=grid", "model=a"], 2),
        ({"generation.seed": "range(0,5)"}, [], 5),
    ],
)
def test_jobs_are_the_product_of_what_is_swept(
    monkeypatch: pytest.MonkeyPatch, parameters: dict[str, str], overrides: list[str], jobs: int
) -> None:
    monkeypatch.setenv("HARNESS_SWEEP_JOBS", "0")
    config = OmegaConf.create({"hydra": {"sweeper": {"params": parameters}, "overrides": {"task": overrides}}})
    CountJobs().on_multirun_start(config)
    assert os.environ["HARNESS_SWEEP_JOBS"] == str(jobs)


def test_an_outcome_comes_back_and_tells_how_long_the_rest_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HARNESS_SWEEP_FOLDER", "")
    folder = sweep.begin(tmp_path)
    monkeypatch.setenv("HARNESS_SWEEP_JOBS", "3")
    sweep.record(0, JobResult(("prompt=chat",), 90.0, runs=("a",)))
    [result] = sweep.job_results(folder)
    assert (list(result.overrides), result.seconds, list(result.runs)) == (["prompt=chat"], 90.0, ["a"])
    sweep.announce(1, ("prompt=plain",))
    assert "run 2 of 3, about 3 min left: prompt=plain" in capsys.readouterr().err


def test_a_single_run_announces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HARNESS_SWEEP_FOLDER", "")
    sweep.begin(tmp_path)
    sweep.announce(0, ())
    assert capsys.readouterr().err == ""
