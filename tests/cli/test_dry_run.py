"""A dry run refuses what the run refuses, and its times are of runs of the same kind or unknown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import pipeline
from harness.cli.dry_run import DryRunPlan, plan, print_plans
from harness.cli.durations import Durations
from harness.config import GenerationConfig, HarnessConfig, LoraConfig, OpenAIModelConfig, ReplayModelConfig
from harness.config.finetune import FineTuneMethod
from harness.errors import HarnessError
from harness.store.runs import StoredRun, save_run
from harness.store.stages import Store
from harness.types import FineTuneRecord, StageRecord
from tests.support.fakes import config


def hosted(settings: HarnessConfig) -> None:
    settings.model = OpenAIModelConfig("openai", "gpt", id="gpt-x", base_url="https://nowhere.test/v1")


def replay(settings: HarnessConfig, line: str) -> None:
    path = Path(settings.store).parent / "completions.jsonl"
    path.write_text(line)
    settings.model = ReplayModelConfig("replay", "answers", path=str(path))


def cluster(settings: HarnessConfig) -> None:
    settings.stats.cluster = "topc"


def batch(settings: HarnessConfig) -> None:
    settings.generation.batch = True


def budget(settings: HarnessConfig) -> None:
    settings.generation.max_cost = 1.0


def prices(settings: HarnessConfig) -> None:
    settings.pricing = "nowhere.yaml"


def store(settings: HarnessConfig) -> None:
    (Path(settings.store).parent / "file").write_text("")
    settings.store = str(Path(settings.store).parent / "file")


def too_many(settings: HarnessConfig) -> None:
    settings.task.n_validation = 500


@pytest.mark.parametrize(
    "spoil",
    [
        hosted,
        lambda settings: replay(settings, "{"),
        lambda settings: replay(settings, '{"id": "e0", "completion": "a"}\n{"id": "e0", "completion": "b"}\n'),
        cluster,
        batch,
        budget,
        prices,
        store,
        too_many,
    ],
    ids=["key", "replay-json", "replay-twice", "cluster", "batch", "max_cost", "pricing", "store", "n_validation"],
)
def test_what_the_run_refuses_the_dry_run_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[HarnessConfig], None]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings = config(tmp_path)
    spoil(settings)
    refusals = []
    for attempt in (lambda: plan(settings), lambda: pipeline.run(settings, "command")):
        with pytest.raises(HarnessError) as caught:
            attempt()
        refusals.append((type(caught.value), str(caught.value)))
    assert refusals[0] == refusals[1]


def test_nothing_to_send_needs_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    settings = config(tmp_path)
    hosted(settings)
    planned = plan(settings)
    assert (planned.to_generate, planned.seconds) == (12, None)


def test_other_kinds_of_runs_tell_no_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store with one run of the fake says nothing about a replay, a service, or a fine-tune."""
    pipeline.run(config(tmp_path), "command")
    settings = config(tmp_path, n=8)
    replay(settings, "".join(json.dumps({"id": f"e{i}", "completion": "x"}) + "\n" for i in range(30)))
    unknown = plan(settings)
    assert unknown.seconds is None
    done = plan(config(tmp_path))
    assert (done.to_generate, done.seconds) == (0, 0.0)
    print_plans([unknown, done])
    shown = " ".join(capsys.readouterr().out.split())
    assert "2 runs, 1 of unknown duration, the others all stored, without scoring" in shown
    print_plans([done])
    assert "1 run, about 0 s" in capsys.readouterr().out


def stored(folder: Path, run_id: str, **changes: Any) -> None:
    """Store the record of a run of a local model with these changes."""
    (folder / "base").mkdir()
    base = pipeline.run(config(folder / "base"), "command")
    result = replace(base.result, run_id=run_id, parameters=135, usage=replace(base.result.usage, seconds=24.0))
    values = {**dict(result.config), "model": {"backend": "local", "dtype": "float32", "device": "auto"}}
    for key, part in changes.pop("config", {}).items():
        values[key] = {**values[key], **part}
    result = replace(result, config=values, **changes)
    save_run(Store(folder / "store").runs / run_id, result, base.predictions(), base.stats().metrics)


def of_kind(folder: Path, parameters: int = 135, **changes: Any) -> Durations:
    settings = config(folder)
    base = {"backend": "local", "dtype": "float32", "device": "auto"}
    for key, value in changes.items():
        setattr(settings, key, value)
    durations = Durations.of(settings, parameters, Store(folder / "store"))
    return replace(durations) if "model" in changes else _with_model(settings, base, parameters, folder)


def _with_model(settings: HarnessConfig, model: dict[str, Any], parameters: int, folder: Path) -> Durations:
    from harness.config import LocalModelConfig

    settings.model = LocalModelConfig("local", "m", path="p", dtype=model["dtype"], device=model["device"])
    return Durations.of(settings, parameters, Store(folder / "store"))


def test_completions_are_timed_by_the_same_model_size_device_and_limit(tmp_path: Path) -> None:
    stored(tmp_path, "same")
    assert of_kind(tmp_path).generating(100, 0) == pytest.approx(100 * 24 / 12)
    assert of_kind(tmp_path, parameters=7).generating(100, 0) is None
    assert of_kind(tmp_path, generation=GenerationConfig(max_tokens=500)).generating(100, 0) is None
    assert of_kind(tmp_path).generating(100, 5) is None, "no likelihood was measured"
    assert of_kind(tmp_path).generating(0, 0) == 0.0


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"model": {"device": "cuda"}}},
        {"config": {"model": {"dtype": "bfloat16"}}},
        {"config": {"model": {"backend": "replay"}}},
        {"config": {"generation": {"batch": True}}},
        {"parameters": 134},
    ],
)
def test_a_run_of_another_kind_is_left_out(tmp_path: Path, changes: dict[str, Any]) -> None:
    stored(tmp_path, "other", **changes)
    assert of_kind(tmp_path).generating(100, 0) is None


def test_likelihoods_have_their_own_rate(tmp_path: Path) -> None:
    stored(tmp_path, "measured", stages=(StageRecord("likelihood", "k", {}, 6.0, 12, 0),))
    assert of_kind(tmp_path).generating(12, 24) == pytest.approx(24.0 + 12.0)


def test_training_is_timed_by_the_same_method_and_about_as_many_examples(tmp_path: Path) -> None:
    record = FineTuneRecord("lora", 100, 50.0, 10, 1000, 1)
    lora = LoraConfig(FineTuneMethod.lora)
    stored(tmp_path, "tuned", finetune=record, config={"finetune": {**vars(lora)}})
    assert of_kind(tmp_path, finetune=lora).training(200) == pytest.approx(100.0)
    assert of_kind(tmp_path, finetune=lora).training(1000) is None
    assert of_kind(tmp_path, finetune=replace(lora, n_epochs=9)).training(200) is None
    assert of_kind(tmp_path, finetune=replace(lora, method=FineTuneMethod.full)).training(200) is None
    assert of_kind(tmp_path).training(0) == 0.0


def test_shared_work_is_counted_once(capsys: pytest.CaptureFixture[str]) -> None:
    first = DryRunPlan("a", 20, False, 12, 12, 60.0, 120.0, training_key="t", generation_key="g")
    other = replace(first, run_id="b", generation_key="h")
    same = replace(first, run_id="c")
    print_plans([first, other, same, first])
    shown = capsys.readouterr().out
    assert "3 runs, about 5 min, without scoring" in shown
    assert shown.count("shared") == 2
    print_plans([first, other], as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert [row["seconds"] for row in rows] == [180.0, 120.0]


def test_equal_prompts_are_sent_once(tmp_path: Path) -> None:
    rows = [{"id": f"e{i}", "prompt": "Thing", "completion": f"{i}"} for i in range(20)]
    (tmp_path / "data.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert plan(config(tmp_path)).to_generate == 1


def test_runs_without_a_record_that_can_be_read_are_left_out(tmp_path: Path) -> None:
    run: StoredRun = pipeline.run(config(tmp_path, n=8), "command")
    (run.folder / "results.json").write_text("{")
    assert plan(config(tmp_path)).seconds is None


def test_what_is_known_of_the_data_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = config(tmp_path, "truncated")
    settings.generation.max_tokens = 1
    plan(settings)
    assert "longer than generation.max_tokens=1, so that no completion can equal it" in capsys.readouterr().err
