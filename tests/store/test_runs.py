"""Run records: what schema version 1 called otherwise is read as before, and anything else is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import pipeline
from harness.errors import StoreError
from harness.store.runs import load_run, require_runs
from harness.store.stages import Store
from harness.types import Likelihood
from tests.support.fakes import config


def version_1(text: str) -> str:
    """Return a record as version 1 wrote it: other names of three fields, and one field less."""
    for new, old in (("n_computed", "done"), ("n_cached", "reused"), ("nll", "nats")):
        text = text.replace(f'"{new}"', f'"{old}"')
    return text


def test_version_1_reads_as_version_2(tmp_path: Path) -> None:
    settings = config(tmp_path)
    settings.metrics.names = ["exact_match", "validation_loss"]
    settings.task.primary_metric = "exact_match"
    settings.model.backend = "tests.support.fakes:LikelihoodEcho"
    run = pipeline.run(settings, "test")
    assert any(prediction.completion.likelihoods for prediction in run.predictions())
    record = json.loads(version_1((run.folder / "results.json").read_text("utf-8")))
    for metric in record["metrics"]:
        assert metric.pop("configured_as") == metric["name"]
    old = tmp_path / "old"
    old.mkdir()
    (old / "results.json").write_text(json.dumps({**record, "schema_version": 1}), "utf-8")
    (old / "predictions.jsonl").write_text(version_1((run.folder / "predictions.jsonl").read_text("utf-8")), "utf-8")
    read = load_run(old)
    assert read.predictions() == run.predictions()
    assert read.result.stages == run.result.stages
    assert [metric.config_name for metric in read.result.metrics] == ["exact_match", "validation_loss"]


def test_likelihoods_of_version_1_are_reused(tmp_path: Path) -> None:
    log = Store(tmp_path).likelihoods({})
    log.append("a", Likelihood(1.5, 3, 2))
    written = log.path.read_text("utf-8")
    log.path.write_text(version_1(written), "utf-8")
    assert log.path.read_text("utf-8") != written
    assert log.read() == {"a": Likelihood(1.5, 3, 2)}


@pytest.mark.parametrize("version", [0, 3, None, "2"])
def test_other_versions_are_refused(tmp_path: Path, version: object) -> None:
    (tmp_path / "results.json").write_text(json.dumps({"schema_version": version}), "utf-8")
    with pytest.raises(StoreError, match="expected schema_version 1 to 2, got"):
        load_run(tmp_path)


def test_an_empty_store_says_how_to_make_a_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Make one: python -m harness run"):
        require_runs(tmp_path / "runs", [])
