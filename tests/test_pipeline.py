"""The whole flow on the shipped fake: what is made once is never made again, and nothing is lost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import sacrebleu

from harness import pipeline
from harness.cli.dry_run import plan
from harness.config import (
    EchoModelConfig,
    FineTuneMethod,
    HarnessConfig,
    LocalModelConfig,
    LoraConfig,
    PromptConfig,
    PromptStyle,
)
from harness.errors import ConfigError
from harness.stages.prepare import prepare, with_baselines
from harness.store.runs import load_run, results_schema
from tests.support.fakes import Interrupted, config


def test_a_run_is_scored_and_recorded(tmp_path: Path) -> None:
    run = pipeline.run(config(tmp_path), "command")
    again = load_run(run.folder)
    assert again.result == run.result
    assert [m.name for m in again.result.metrics] == ["exact_match", "rougeL", "bleu"]
    predictions = again.predictions()
    assert len(predictions) == again.result.usage.n == 12
    references = [p.example.reference for p in predictions]
    bleu = sacrebleu.corpus_bleu([p.completion.text or "" for p in predictions], [references])
    metric = again.result.metric("bleu")
    assert metric is not None
    assert metric.score.value == pytest.approx(bleu.score, abs=1e-9)
    assert set(metric.slices["topic"]) == {"maths", "people", "places"}
    assert sum(s.n for s in metric.slices["topic"].values()) == 12


def test_results_json_matches_its_published_schema(tmp_path: Path) -> None:
    run = pipeline.run(config(tmp_path), "command")
    record = json.loads((run.folder / "results.json").read_text(encoding="utf-8"))
    schema = results_schema()
    assert set(schema["required"]) <= set(record) <= set(schema["properties"])


def test_a_second_run_does_no_work_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = pipeline.run(config(tmp_path), "command")
    capsys.readouterr()
    assert pipeline.run(config(tmp_path), "command") == first
    assert "nothing to do" in capsys.readouterr().err


def test_runs_share_completions_and_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.run(config(tmp_path, n=8), "command")
    more = pipeline.run(config(tmp_path, n=12), "command")
    assert "generate: 4 completions made, 8 reused" in capsys.readouterr().err
    assert more.result.stages[1].n_cached == 8


def test_a_killed_run_resumes_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config(tmp_path)
    settings.model.backend = "tests.support.fakes:Interrupted"
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(settings, "command")
    monkeypatch.setattr(Interrupted, "dies_after", 100)
    run = pipeline.run(settings, "command")
    assert Interrupted.generated == 12
    assert (run.result.stages[1].n_computed, run.result.stages[1].n_cached) == (7, 5)


def test_failed_completions_are_bounded_and_tried_again(tmp_path: Path) -> None:
    settings = config(tmp_path, error_rate=0.5)
    run = pipeline.run(settings, "command")
    errors = run.result.usage.errors
    score = run.result.metrics[1].score
    assert 0 < errors < 12
    assert (score.n, score.errors) == (12 - errors, errors)
    assert score.worst is not None
    assert score.value is not None
    assert score.best is not None
    assert score.worst < score.value < score.best
    failed = [p for p in run.predictions() if p.completion.error]
    assert all(p.completion.text is None and set(p.scores.values()) == {None} for p in failed)
    again = pipeline.run(settings, "command")
    assert again.result.stages[1].n_computed == errors


@pytest.mark.parametrize("change", ["model", "decoding", "prompt", "metrics", "examples"])
def test_whatever_decides_a_score_decides_the_run(tmp_path: Path, change: str) -> None:
    base, other = config(tmp_path), config(tmp_path)
    match change:
        case "model":
            other.model = EchoModelConfig("echo", "echo", error_rate=0.25)
        case "decoding":
            other.generation.max_tokens = 15
        case "prompt":
            other.task.instruction = "Say {prompt}"
        case "metrics":
            other.metrics.names = ["exact_match", "rougeL"]
        case _:
            other.task.n_validation = 11
    assert prepare(base).run_id != prepare(other).run_id


def test_a_damaged_record_is_repaired_by_running_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = pipeline.run(config(tmp_path), "command")
    (run.folder / "results.json").write_text("{")
    again = pipeline.run(config(tmp_path), "command")
    assert "expected a JSON object" in capsys.readouterr().err
    assert replace(again.result, stages=()).metrics == run.result.metrics
    assert again.result.stages[1].n_cached == 12


def test_a_plan_reports_what_is_missing_and_generates_nothing(tmp_path: Path) -> None:
    before = plan(config(tmp_path))
    assert (before.to_generate, before.completions, before.seconds) == (12, 12, None)
    assert not list((tmp_path / "store").glob("runs/*"))
    run = pipeline.run(config(tmp_path, n=8), "command")
    after = plan(config(tmp_path))
    assert after.to_generate == 4
    assert after.seconds == pytest.approx(4 * run.result.usage.seconds / 8)


def test_settings_that_do_not_go_together_are_refused_before_any_work(tmp_path: Path) -> None:
    settings = config(tmp_path)
    settings.task.primary_metric = "rouge_L"
    with pytest.raises(ConfigError, match=r"task.primary_metric: .* Did you mean 'rougeL'\?"):
        pipeline.run(settings, "command")
    assert not (tmp_path / "store").exists()


def test_a_clustered_run_needs_its_slice_key(tmp_path: Path) -> None:
    settings = config(tmp_path)
    settings.stats.cluster = "topc"
    with pytest.raises(ConfigError, match=r"stats.cluster: .* Did you mean 'topic'\?"):
        pipeline.run(settings, "command")
    settings.stats.cluster = "topic"
    metric = pipeline.run(settings, "command").result.metric("rougeL")
    assert metric is not None
    assert "3 clusters" in metric.interval


def tuned(folder: Path, base: Path, n: int = 12) -> HarnessConfig:
    settings = config(folder, "tuned", n=n)
    settings.model = LocalModelConfig("local", "tiny", str(base), device="cpu")
    settings.prompt = PromptConfig("plain", PromptStyle.plain)
    settings.finetune = LoraConfig(FineTuneMethod.lora, n_train=8, n_epochs=1, n_evaluations=1, n_validation=4, rank=2)
    settings.baselines = [PromptConfig("zero-shot", PromptStyle.chat)]
    return settings


def test_a_fine_tune_is_made_once_and_shown_beside_its_untouched_base(tmp_path: Path, tiny_model: Path) -> None:
    runs = [pipeline.run(run_config, "command") for run_config in with_baselines(tuned(tmp_path, tiny_model))]
    untouched, trained = (run.result for run in runs)
    assert [untouched.name, trained.name] == ["tiny-zero-shot", "tuned"]
    assert untouched.finetune is None
    assert not untouched.model.adapter
    assert trained.model.adapter
    assert trained.finetune is not None
    assert trained.finetune.n_train == 8
    again = tuned(tmp_path, tiny_model, n=10)
    again.metrics.names = ["rougeL"]
    shared = pipeline.run(again, "command").result
    assert (shared.stages[1].name, shared.stages[1].n_cached) == ("finetune", 1)


def test_the_validation_loss_is_not_measured_on_scored_examples(tmp_path: Path, tiny_model: Path) -> None:
    some = prepare(tuned(tmp_path, tiny_model, n=12))
    assert some.finetune is not None
    scored = {example.id for example in some.examples}
    assert not scored & {pair.prompt.example_id for pair in some.finetune.validation}
    assert len(some.finetune.validation) == 4
    every = tuned(tmp_path, tiny_model, n=20)
    unused = prepare(every).finetune
    assert unused is not None
    assert len(unused.validation) == 2
    every.finetune.n_train = None  # type: ignore[attr-defined]
    assert "loss_on_scored" in [notice.code for notice in prepare(every).dataset.notices]
