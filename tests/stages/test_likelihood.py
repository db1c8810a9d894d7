"""Likelihoods in the flow: measured only where a metric reads them, once, and never lost or mixed up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness import pipeline
from harness.config import HarnessConfig, JsonlTaskConfig, StatsConfig
from harness.errors import ConfigError
from harness.metrics.likelihood import TokenLikelihood
from harness.stages.score import score
from harness.store.stages import Store
from harness.types import Completion, Example, FinishReason, Likelihood
from tests.support.fakes import LikelihoodEcho, config

NAMES = ["validation_loss", "perplexity", "token_accuracy", "sequence_accuracy", "bits_per_byte"]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LikelihoodEcho, "measured", 0)


def likelihood_config(folder: Path, n: int = 12, error_rate: float = 0.0) -> HarnessConfig:
    settings = config(folder, n=n, error_rate=error_rate)
    settings.model.backend = "tests.support.fakes:LikelihoodEcho"
    settings.metrics.names = ["rougeL", *NAMES]
    return settings


def test_a_stage_of_its_own_that_is_done_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = pipeline.run(likelihood_config(tmp_path, n=8), "command")
    assert [s.name for s in first.result.stages] == ["data", "generate", "likelihood", "score"]
    second = pipeline.run(likelihood_config(tmp_path), "command")
    assert "likelihood: 4 completions measured, 8 reused" in capsys.readouterr().err
    settings = likelihood_config(tmp_path)
    settings.metrics.names = ["rougeL", "validation_loss"]
    third = pipeline.run(settings, "command")
    assert LikelihoodEcho.measured == 12
    stages = {s.name: (s.n_computed, s.n_cached) for s in third.result.stages}
    assert (stages["likelihood"], stages["score"]) == ((0, 12), (0, 2))
    assert third.result.metric("validation_loss") == second.result.metric("validation_loss")


def test_scores_are_of_all_references_and_have_intervals(tmp_path: Path) -> None:
    run = pipeline.run(likelihood_config(tmp_path), "command")
    likelihoods = [next(iter(p.completion.likelihoods.items())) for p in run.predictions()]
    assert [text for text, _ in likelihoods] == [p.example.reference for p in run.predictions()]
    loss = run.result.metric("validation_loss")
    assert loss is not None
    assert loss.score.value == pytest.approx(sum(t.nll for _, t in likelihoods) / sum(t.tokens for _, t in likelihoods))
    assert loss.score.low is not None
    assert loss.score.high is not None
    assert loss.score.low < (loss.score.value or 0.0) < loss.score.high
    result = run.result.metric("sequence_accuracy")
    assert result is not None
    assert result.interval == "wilson"


def test_without_a_metric_that_reads_them_none_are_measured(tmp_path: Path) -> None:
    settings = likelihood_config(tmp_path)
    settings.metrics.names = ["rougeL"]
    run = pipeline.run(settings, "command")
    assert LikelihoodEcho.measured == 0
    assert [s.name for s in run.result.stages] == ["data", "generate", "score"]


def test_text_metrics_are_not_scored_again_for_likelihoods(tmp_path: Path) -> None:
    settings = likelihood_config(tmp_path)
    settings.metrics.names = ["rougeL"]
    pipeline.run(settings, "command")
    run = pipeline.run(likelihood_config(tmp_path), "command")
    assert (run.result.stages[-1].n_computed, run.result.stages[-1].n_cached) == (len(NAMES), 1)


def test_a_killed_run_resumes_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LikelihoodEcho, "dies_after", 5)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(likelihood_config(tmp_path), "command")
    monkeypatch.setattr(LikelihoodEcho, "dies_after", 100)
    run = pipeline.run(likelihood_config(tmp_path), "command")
    assert LikelihoodEcho.measured == 12
    assert (run.result.stages[2].n_computed, run.result.stages[2].n_cached) == (7, 5)


def test_a_model_without_log_probabilities_is_refused_before_any_work(tmp_path: Path) -> None:
    settings = likelihood_config(tmp_path)
    settings.model.backend = "echo"
    with pytest.raises(ConfigError, match=r"metrics\.names: validation_loss, .* 'echo' backend .* model=local"):
        pipeline.run(settings, "command")
    assert not (tmp_path / "store").exists()


def test_a_failed_completion_keeps_its_likelihood_in_the_bounds(tmp_path: Path) -> None:
    run = pipeline.run(likelihood_config(tmp_path, error_rate=0.5), "command")
    result = run.result.metric("validation_loss")
    assert result is not None
    assert 0 < result.score.errors < 12
    likelihoods = [next(iter(p.completion.likelihoods.values())) for p in run.predictions()]
    over_all = sum(t.nll for t in likelihoods) / sum(t.tokens for t in likelihoods)
    assert result.score.worst == result.score.best == pytest.approx(over_all)


def test_statistics_of_one_text_and_two_likelihoods_are_two(tmp_path: Path) -> None:
    example = Example("a", "q", "r")
    first = Completion("a", "r", FinishReason.STOP, likelihoods={"r": Likelihood(1.0, 2, 1)})
    other = replace(first, likelihoods={"r": Likelihood(3.0, 2, 1)})
    values = [
        score([TokenLikelihood()], [example], [completion], StatsConfig(), Store(tmp_path)).metrics[0].score.value
        for completion in (first, other)
    ]
    assert values == [0.5, 1.5]


def test_classification_ranks_by_its_labels(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"Is {i} {'fine' if i % 3 else 'bad'}", "completion": "fine" if i % 2 else "bad"} for i in range(30)
    ]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = likelihood_config(tmp_path, n=20)
    assert isinstance(settings.task, JsonlTaskConfig)
    settings.task.labels = ["bad", "fine"]
    settings.metrics.names = ["rougeL", "accuracy", "auroc", "auprc", "validation_loss"]
    run = pipeline.run(settings, "command")
    assert LikelihoodEcho.measured == 40
    predictions = run.predictions()
    assert set(predictions[0].completion.likelihoods) == {"bad", "fine"}
    score_of = [p.completion.likelihoods["bad"].nll - p.completion.likelihoods["fine"].nll for p in predictions]
    fine = [p.example.reference == "fine" for p in predictions]
    order = np.subtract.outer(np.array(score_of)[fine], np.array(score_of)[~np.array(fine)])
    metric = run.result.metric("auroc")
    assert metric is not None
    assert metric.score.value == pytest.approx(float((np.sign(order) + 1).mean() / 2))
    assert "bca" in metric.interval
    assert predictions[0].scores["auroc"] is None
