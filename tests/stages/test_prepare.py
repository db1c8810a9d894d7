"""What can be worked out from a file of one's own is not asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.config import HarnessConfig
from harness.config.compose import run_config
from harness.errors import ConfigError, DataError
from harness.stages.finetune import PlannedFineTune
from harness.stages.generate import prompt_key
from harness.stages.prepare import prepare, with_baselines
from harness.store.digest import digest

COMMON = ["task=jsonl", "metrics=fast", "tracking=none"]


def write(path: Path, n: int) -> Path:
    rows = [{"prompt": f"Thing {i}", "completion": f"Answer {i}."} for i in range(n)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def config(path: Path, *overrides: str) -> HarnessConfig:
    return run_config([*COMMON, f"task.path={path}", *overrides])


SIZES: list[tuple[int, list[str], int, int]] = [
    # rows, overrides, the examples that are scored, and those in the training pool
    (1, [], 1, 0),
    (24, [], 20, 4),
    (24, ["task.n_validation=null"], 24, 0),
    (24, ["prompt=few_shot"], 20, 4),
    (24, ["prompt=few_shot", "task.n_validation=null"], 20, 4),
    (80, ["prompt=few_shot"], 64, 16),
    (80, ["task.n_validation=80"], 80, 0),
    (400, ["task.n_validation=pool"], 80, 320),
]


@pytest.mark.parametrize(("n", "overrides", "scored", "train"), SIZES)
def test_the_split_follows_the_size(tmp_path: Path, n: int, overrides: list[str], scored: int, train: int) -> None:
    prepared = prepare(config(write(tmp_path / "own.jsonl", n), "model=echo", *overrides))
    assert (len(prepared.examples), len(prepared.corpus.train)) == (scored, train)
    assert [notice.code for notice in prepared.dataset.notices][:1] == ["split"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["task.n_validation=64"], r"task\.n_validation: expected 0 to 24 .* got 64"),
        (["prompt.shots=5"], r"prompt\.shots: expected 0 to 4 .* got 5"),
    ],
)
def test_numbers_that_cannot_be_met_are_refused(tmp_path: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepare(config(write(tmp_path / "own.jsonl", 24), "model=echo", *overrides))


def test_a_fine_tune_and_its_baselines_score_the_same_examples(tmp_path: Path, tiny_model: Path) -> None:
    data = write(tmp_path / "own.jsonl", 80)
    baselines = "baselines=[{name: few, style: plain, shots: 4}, {name: zero}]"
    model = ["model=local", f"model.path={tiny_model}", "model.device=cpu", "generation.max_tokens=8"]
    for n_validation in ("auto", "null"):
        tune = config(data, *model, "finetune=lora", "prompt=plain", baselines, f"task.n_validation={n_validation}")
        runs = [prepare(run) for run in with_baselines(tune)]
        assert [len(run.examples) for run in runs] == [64, 64, 64]
        assert len({run.dataset.fingerprint for run in runs}) == 1
        assert runs[-1].finetune
        assert len(runs[-1].finetune.train) == 16


def test_unused_training_examples_measure_the_loss_where_all_others_are_scored(
    tmp_path: Path, tiny_model: Path
) -> None:
    model = ["model=local", f"model.path={tiny_model}", "model.device=cpu", "finetune=lora", "prompt=plain"]
    prepared = prepare(config(write(tmp_path / "own.jsonl", 80), *model, "finetune.n_train=12"))
    assert prepared.finetune
    assert (len(prepared.finetune.train), len(prepared.finetune.validation)) == (12, 4)
    assert "loss_on_scored" not in {notice.code for notice in prepared.dataset.notices}


def test_one_file_of_predictions_is_scored_whole_and_named_by_its_stem(tmp_path: Path) -> None:
    path = tmp_path / "scored.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": "p", "reference": i, "prediction": i}) for i in range(100)))
    settings = config(path, "model=replay", "task.primary_metric=exact_match")
    assert (settings.task.name, settings.model.name) == ("scored", "scored")
    prepared = prepare(settings)
    assert len(prepared.examples) == 100
    completions = prepared.model.generate(prepared.prompts, prepared.decoding)
    assert [c.text for c in completions] == [example.reference for example in prepared.examples]


def test_a_replay_without_a_path_needs_a_file_of_the_task(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.path has no value"):
        prepare(run_config(["task=hub", f"task.path={tmp_path}", "model=replay", "tracking=none"]))


@pytest.mark.parametrize(
    ("task", "path", "name"),
    [
        ("jsonl", "a/val.csv.gz", "val"),
        ("jsonl", "b.v2.jsonl", "b.v2"),
        ("hub", "org/data", "data"),
        ("hub", "f/", "f"),
    ],
)
def test_a_task_is_named_by_its_data(task: str, path: str, name: str) -> None:
    assert run_config([f"task={task}", f"task.path={path}", "model=echo"]).task.name == name


SAMPLED = ["generation.temperature=0.7"]
SEEDS: list[tuple[list[str], str, list[str]]] = [
    # overrides of the first run, the seed that changes, and what changes with it
    ([], "task.sample_seed", ["examples", "run"]),
    (["prompt=few_shot"], "task.sample_seed", ["examples", "prompts", "run"]),
    ([], "generation.seed", []),
    (SAMPLED, "generation.seed", ["decoding", "run"]),
    (["model=openai", "model.id=x", "+model.extra.temperature=1"], "generation.seed", ["decoding", "run"]),
    ([], "stats.seed", ["run"]),
]


@pytest.mark.parametrize(("overrides", "seed", "changed"), SEEDS)
def test_a_seed_changes_what_it_seeds(tmp_path: Path, overrides: list[str], seed: str, changed: list[str]) -> None:
    own = [*overrides] if any(word.startswith("model=") for word in overrides) else ["model=echo", *overrides]
    path = write(tmp_path / "own.jsonl", 200)
    first, other = (prepare(config(path, "task.n_validation=20", *own, *more)) for more in ([], [f"{seed}=1"]))
    differs = {
        "examples": {e.id for e in first.examples} != {e.id for e in other.examples},
        "prompts": first.prompts[0].text.partition("Thing")[2] != other.prompts[0].text.partition("Thing")[2],
        "decoding": first.decoding != other.decoding,
        "run": first.run_id != other.run_id,
    }
    expected = {*changed, *(["prompts"] if "examples" in changed else [])}
    if "prompt=few_shot" not in overrides:
        differs.pop("prompts")
        expected.discard("prompts")
    assert {name for name, is_other in differs.items() if is_other} == expected


def test_the_seed_of_a_fine_tune_is_its_own(tmp_path: Path, tiny_model: Path) -> None:
    data = write(tmp_path / "own.jsonl", 80)
    words = ["model=local", f"model.path={tiny_model}", "model.device=cpu", "finetune=lora", "finetune.n_train=8"]

    def planned(*overrides: str) -> PlannedFineTune:
        plan = prepare(config(data, *words, *overrides)).finetune
        assert plan is not None
        return plan

    first = planned()
    for seed, trains_again, other_examples in (
        ("finetune.seed", True, False),
        ("task.sample_seed", True, True),
        ("generation.seed", False, False),
        ("stats.seed", False, False),
    ):
        other = planned(f"{seed}=1", "generation.temperature=0.7")
        assert (digest(other.inputs) != digest(first.inputs)) is trains_again, seed
        assert (other.train != first.train) is other_examples, seed


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["model=echo"], ConfigError, r"generation\.n=3: expected a temperature above 0, got greedy decoding"),
        (["model=openai", "model.id=x", "+model.extra.temperature=0", *SAMPLED], ConfigError, "greedy decoding"),
        (
            ["model=openai", "model.id=x", "+model.extra.seed=5", *SAMPLED],
            ConfigError,
            r"model\.extra\.seed=5: expected no seed of your own",
        ),
    ],
)
def test_samples_that_would_all_be_one_text_are_refused(
    tmp_path: Path, overrides: list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        prepare(config(write(tmp_path / "own.jsonl", 24), "generation.n=3", *overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=echo", *SAMPLED],
        ["model=openai", "model.id=x", "+model.extra.temperature=null"],
        ["model=openai", "model.id=x", "+model.extra.seed=null", *SAMPLED],
    ],
)
def test_each_prompt_is_sampled_several_times(tmp_path: Path, overrides: list[str]) -> None:
    once, several = (
        prepare(config(write(tmp_path / "own.jsonl", 24), f"generation.n={n}", *overrides)) for n in (1, 3)
    )
    assert (len(several.prompts), several.dataset.n_validation, several.dataset.n_samples) == (60, 20, 3)
    assert several.prompts[:20] == once.prompts
    assert [n.count for n in several.dataset.notices] == [n.count for n in once.dataset.notices]
    assert len({prompt_key(prompt) for prompt in several.prompts}) == 60


def test_samples_of_completions_that_exist_are_looked_up_by_id(tmp_path: Path) -> None:
    data, answers = write(tmp_path / "own.jsonl", 24), tmp_path / "answers.jsonl"
    words = ["model=replay", f"model.path={answers}", "generation.n=2", "task.n_validation=null"]
    answers.write_text("\n".join(json.dumps({"prompt": f"Thing {i}", "completion": "x"}) for i in range(24)))
    prepared = prepare(config(data, *words))
    with pytest.raises(DataError, match=r"expected a row for each sample of a prompt .*#2', got none"):
        list(prepared.model.generate(prepared.prompts, prepared.decoding))
    rows = [{"id": prompt.example_id, "completion": f"{prompt.sample}"} for prompt in prepared.prompts[:-1]]
    answers.write_text("\n".join(map(json.dumps, rows)))
    prepared = prepare(config(data, *words))
    completions = list(prepared.model.generate(prepared.prompts, prepared.decoding))
    assert [c.text for c in completions] == ["0"] * 24 + ["1"] * 23 + [None]


def test_what_is_scored_in_part_or_reaches_no_prompt_is_said(tmp_path: Path, tiny_model: Path) -> None:
    train, data = write(tmp_path / "train.jsonl", 3), write(tmp_path / "own.jsonl", 80)
    options = ["model=local", f"model.path={tiny_model}", "model.template_options={shout: true}", "prompt=plain"]
    own = config(data, f"task.train_path={train}", "task.allow_leakage=true", *options)
    notices = {notice.code: notice for notice in prepare(own).dataset.notices}
    assert (notices["scored"].count, notices["template_unused"].count) == (80, 64)
    assert notices["scored"].message == "validation examples: 64 scored; task.n_validation=null scores them all"
    whole = config(data, f"task.train_path={train}", "task.allow_leakage=true", "task.n_validation=null", "model=echo")
    assert not {"scored", "template_unused"} & {notice.code for notice in prepare(whole).dataset.notices}
