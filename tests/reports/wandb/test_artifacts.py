"""Lineage: what is declared online and offline, and names that W&B takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.leaderboard import Leaderboard
from harness.config import TrackingConfig
from harness.reports.wandb import artifacts
from harness.store.runs import StoredRun


class Session:
    """A W&B run that records what was logged."""

    def __init__(self, offline: bool) -> None:
        self.offline = offline
        self.used: list[Any] = []
        self.logged: list[Any] = []

    def use_artifact(self, artifact: Any) -> None:
        if self.offline:
            raise TypeError("Cannot use artifact when in offline mode.")
        self.used.append(artifact)

    def log_artifact(self, artifact: Any) -> None:
        self.logged.append(artifact)


@pytest.mark.parametrize(("offline", "used", "logged"), [(True, "", "ioo"), (False, "i", "oo")])
def test_inputs_are_used_where_there_is_a_server(offline: bool, used: str, logged: str) -> None:
    session = Session(offline)
    artifacts.declare(session, ["i"], ["o", "o"])
    assert ("".join(session.used), "".join(session.logged)) == (used, logged)


def test_every_stage_is_an_artifact_in_order(runs: list[StoredRun], board: Leaderboard) -> None:
    made = list(artifacts.products(runs[1], TrackingConfig()))
    assert [artifact.type for artifact in made] == ["finetune", "completions", "scores"]
    assert [artifact.type for artifact in artifacts.products(runs[0], TrackingConfig())] == ["completions", "scores"]
    assert artifacts.dataset(runs[0], TrackingConfig()).type == "dataset"
    assert artifacts.leaderboard(board, TrackingConfig()).type == "leaderboard"


def files(artifact: Any) -> dict[str, Path]:
    return {path: Path(entry.local_path) for path, entry in artifact.manifest.entries.items()}


def test_scores_of_the_run_and_of_the_leaderboard_are_one_artifact(runs: list[StoredRun]) -> None:
    *_, logged = artifacts.products(runs[0], TrackingConfig())
    used = artifacts.scores(runs[0], TrackingConfig())
    assert (logged.name, logged.digest) == (used.name, used.digest)


def test_without_predictions_only_scores_are_left(runs: list[StoredRun]) -> None:
    bare = TrackingConfig(predictions=False)
    assert [artifact.type for artifact in artifacts.products(runs[0], bare)] == ["scores"]
    assert set(files(artifacts.scores(runs[0], bare))) == {"results.json"}
    assert set(files(artifacts.dataset(runs[0], bare))) == {"dataset.json"}


def test_the_files_hold_the_run(runs: list[StoredRun]) -> None:
    completions = next(artifacts.products(runs[0], TrackingConfig()))
    text = files(completions)["predictions.jsonl"].read_text(encoding="utf-8")
    assert text == (runs[0].folder / "predictions.jsonl").read_text(encoding="utf-8")
    record = json.loads(files(artifacts.scores(runs[0], TrackingConfig()))["results.json"].read_text(encoding="utf-8"))
    assert record["run_id"] == runs[0].result.run_id


@pytest.mark.parametrize(
    ("rest", "kept"),
    [("wiki_first_sentence", True), ("smollm2-n20-lr0.2", True), ("tâche à/moi", False), ("x" * 200, False)],
)
def test_names_are_ones_that_wandb_takes(rest: str, kept: bool, runs: list[StoredRun]) -> None:
    import dataclasses

    run = dataclasses.replace(runs[0], result=dataclasses.replace(runs[0].result, task=rest))
    name = artifacts.dataset(run, TrackingConfig()).name.removesuffix(":v0")
    assert (name == f"dataset-{rest}") is kept
    assert len(name) <= 128
    assert name.isascii()
