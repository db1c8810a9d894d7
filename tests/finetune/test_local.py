"""The whole fine-tune on the tiny model: it learns, it resumes to the same weights, and its product loads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from harness.config import FineTuneMethod, LocalModelConfig, LoraConfig, TrainingConfig
from harness.errors import ConfigError, FineTuneError
from harness.finetune import checkpoint, train
from harness.finetune.local import LocalFineTuner
from harness.finetune.loss import LossScorer
from harness.hf import weights
from harness.hf.tokens import TokenBatch, Tokens
from harness.models.local import LocalModel
from harness.progress import Bar
from harness.types import SamplingParams, TrainingPair
from tests.support.memory import allocate_on_cpu

Tuner = Callable[..., LocalFineTuner]
WEIGHTS = {"lora": "adapter_model.safetensors", "full": "model.safetensors"}


@pytest.mark.parametrize("method", ["lora", "full"])
def test_it_learns_twenty_examples(method: str, tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path) -> None:
    record = tuner(method, n_epochs=20).fit(pairs, pairs, tmp_path)
    first, last = record.curve[0], record.curve[-1]
    assert [point.step for point in record.curve] == [25, 50, 75, 100]
    assert [point.examples for point in record.curve] == [100, 200, 300, 400]
    assert first.validation_loss is not None
    assert last.validation_loss is not None
    assert last.validation_loss < first.validation_loss - 0.5
    assert last.validation_loss < 2.0
    assert last.train_loss is not None
    assert last.validation_loss_se is not None
    assert last.validation_loss_se > 0
    assert first.validation_change_se is None
    assert last.validation_change_se is not None
    assert last.validation_change_se > 0
    assert last.validation_rise_se == last.validation_change_se, "the evaluation before was the best until then"
    assert last.token_accuracy is not None
    assert last.token_accuracy > 0.5
    assert (record.method, record.n_train, record.best_step) == (method, 20, 100)
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == [WEIGHTS[method]]


@pytest.mark.parametrize("settings", [{"method": "lora", "dropout": 0.3}, {"method": "full"}])
def test_a_killed_fit_ends_with_the_same_weights(
    settings: dict[str, object],
    tuner: Tuner,
    pairs: list[TrainingPair],
    tmp_path: Path,
) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = tuner(**settings, n_epochs=3).fit(pairs, pairs[:5], tmp_path / "whole")
    _die(7, tuner(**settings, n_epochs=3), pairs, tmp_path / "killed")
    assert (tmp_path / "killed" / checkpoint.CHECKPOINT).exists()
    resumed = tuner(**settings, n_epochs=3).fit(pairs, pairs[:5], tmp_path / "killed")
    assert resumed.curve == whole.curve
    assert resumed.tokens == whole.tokens
    name = WEIGHTS[str(settings["method"])]
    first, second = load_file(tmp_path / "whole" / name), load_file(tmp_path / "killed" / name)
    assert all(first[key].equal(second[key]) for key in first)
    assert not list((tmp_path / "killed").glob("*checkpoint*"))


def test_a_checkpoint_of_another_fine_tune_is_refused(tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path) -> None:
    _die(2, tuner(n_evaluations=20, n_epochs=4), pairs, tmp_path)
    with pytest.raises(FineTuneError, match="other data or settings"):
        tuner(n_evaluations=20, n_epochs=4, seed=1).fit(pairs, pairs[:5], tmp_path)
    (tmp_path / checkpoint.CHECKPOINT).write_bytes(b"half of it")
    with pytest.raises(FineTuneError, match="Delete it to start again"):
        tuner(n_evaluations=20, n_epochs=4).fit(pairs, pairs[:5], tmp_path)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_product_loads_and_answers_what_it_was_taught(
    method: str, tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path
) -> None:
    taught = tuner(method, n_epochs=50, batch_size=10)
    taught.fit(pairs, [], tmp_path)
    config = taught.model_config(tmp_path)
    model = LocalModel(config)
    assert model.identity != LocalModel(taught._model).identity
    answers = {
        c.example_id: c.text for c in model.generate([pair.prompt for pair in pairs], SamplingParams(max_tokens=24))
    }
    right = [answers[pair.prompt.example_id] == pair.completion.strip() for pair in pairs]
    assert sum(right) >= 15


def test_the_best_weights_are_kept_and_training_stops_early(
    tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path
) -> None:
    record = tuner(n_epochs=60, n_evaluations=30, patience=2).fit(pairs[:10], pairs[10:], tmp_path)
    losses = [point.validation_loss or 0.0 for point in record.curve]
    best = losses.index(min(losses))
    assert len(losses) == best + 3 < 30
    assert record.best_step == record.curve[best].step


def test_without_validation_the_last_weights_are_kept(tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path) -> None:
    record = tuner(n_epochs=2).fit(pairs, [], tmp_path)
    assert record.best_step == 10
    assert [point.validation_loss for point in record.curve] == [None] * 4


def test_a_fine_tune_in_bfloat16_learns_too(tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path) -> None:
    record = tuner(n_epochs=5, dtype="bfloat16").fit(pairs, pairs, tmp_path)
    losses = [point.validation_loss or 0.0 for point in record.curve]
    assert losses[-1] < losses[0]
    assert next(iter(load_file(tmp_path / WEIGHTS["lora"]).values())).dtype.itemsize == 4


def test_an_exploding_run_says_what_to_lower(tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path) -> None:
    with pytest.raises(FineTuneError, match=r"Lower finetune\.learning_rate_multiplier"):
        tuner("full", learning_rate_multiplier=1e12, max_grad_norm=1e12, n_epochs=9).fit(pairs, [], tmp_path)


def test_unknown_targets_name_the_setting(tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path) -> None:
    with pytest.raises(FineTuneError, match=r"finetune\.targets: .*no_such_layer"):
        tuner(targets=["no_such_layer"]).fit(pairs, [], tmp_path)


def test_an_adapter_is_no_base(tuner: Tuner, tmp_path: Path) -> None:
    config = LocalModelConfig(backend="local", name="tiny", path=str(tmp_path), adapter=str(tmp_path))
    with pytest.raises(ConfigError, match=r"model\.adapter"):
        LocalFineTuner(tuner()._config, config)


@pytest.mark.parametrize("config", [TrainingConfig(FineTuneMethod.lora), LoraConfig(FineTuneMethod.full)])
def test_a_method_needs_its_own_settings(config: TrainingConfig, tiny_model: Path) -> None:
    with pytest.raises(
        ConfigError, match=rf"finetune\.method: .*got {config.method}\. Choose finetune={config.method}"
    ):
        LocalFineTuner(config, LocalModelConfig("local", "tiny", str(tiny_model)))


AGAIN = """
import sys
from pathlib import Path
from harness.config import FineTuneMethod, LocalModelConfig, LoraConfig
from harness.finetune.local import LocalFineTuner
from harness.types import Prompt, TrainingPair
model, folder = sys.argv[1:]
pairs = [TrainingPair(Prompt(str(i), text=f"What is {i}?"), f"It is {i}.") for i in range(4)]
config = LoraConfig(method=FineTuneMethod.lora, n_epochs=1, dtype="float32")
LocalFineTuner(config, LocalModelConfig("local", "tiny", model, device="cpu")).fit(pairs, [], Path(folder))
"""


def test_the_same_fine_tune_in_two_processes_is_the_same_file_for_file(tiny_model: Path, tmp_path: Path) -> None:
    """A set of strings, such as peft's target modules, has another order in each process."""
    folders = [tmp_path / seed for seed in ("1", "2")]
    runs = []
    for folder in folders:
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": folder.name}
        runs.append(subprocess.Popen([sys.executable, "-c", AGAIN, str(tiny_model), str(folder)], env=environment))
    assert [run.wait() for run in runs] == [0, 0]
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        first, second = ((folder / name).read_bytes() for folder in folders)
        assert first == second, name
    assert weights.identify(tiny_model, folders[0]).adapter == weights.identify(tiny_model, folders[1]).adapter


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_product_has_the_identity_of_its_weights_alone(
    method: str, tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path
) -> None:
    tuning = tuner(method, n_epochs=1)
    tuning.fit(pairs, pairs, tmp_path)
    before = LocalModel(tuning.model_config(tmp_path)).identity
    (tmp_path / "finetune.json").write_text('{"seconds": 1.5}')
    (tmp_path / "inputs.json").write_text("{}")
    assert LocalModel(tuning.model_config(tmp_path)).identity == before
    assert before.tokenizer == tuning.base.tokenizer
    assert before.chat_template == tuning.base.chat_template


def test_a_best_file_of_an_earlier_fine_tune_is_not_taken(
    tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path
) -> None:
    """As when its checkpoint was deleted to start again, and the new one has nothing to choose the best on."""
    clean, again = tmp_path / "clean", tmp_path / "again"
    for folder in (clean, again):
        folder.mkdir()
    tuner(n_epochs=1).fit(pairs, [], clean)
    weights_of = load_file(clean / WEIGHTS["lora"])
    save_file({"base_model.model.x": next(iter(weights_of.values()))}, again / checkpoint.BEST)
    tuner(n_epochs=1).fit(pairs, [], again)
    assert (again / WEIGHTS["lora"]).read_bytes() == (clean / WEIGHTS["lora"]).read_bytes()


def _replaced(path: Path) -> None:
    tensors = load_file(path)
    save_file(tensors, path, {"identity": "another fine-tune", "step": "3"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), r"best\.safetensors: cannot be read .* Delete checkpoint\.safetensors there"),
        (lambda path: os.truncate(path, 100), r"best\.safetensors: cannot be read"),
        (_replaced, r"expected the weights of step \d+ of this fine-tune, got those of step 3 of another fine-tune"),
    ],
)
def test_best_weights_that_are_not_those_that_were_saved(
    tuner: Tuner,
    pairs: list[TrainingPair],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[Path], Any],
    message: str,
) -> None:
    whole = train.Training._evaluate

    def spoil(self: train.Training, validation: Sequence[Tokens], state: checkpoint.TrainingState) -> None:
        whole(self, validation, state)
        damage(tmp_path / checkpoint.BEST)

    monkeypatch.setattr(train.Training, "_evaluate", spoil)
    with pytest.raises(FineTuneError, match=message):
        tuner(n_epochs=1, n_evaluations=1).fit(pairs, pairs, tmp_path)
    assert not (tmp_path / WEIGHTS["lora"]).exists()


def test_a_last_step_that_breaks_the_weights_is_refused(
    tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss is computed before a step, so that it says nothing of the last one."""
    whole = train.Training._step

    def breaking(self: train.Training, batch: Sequence[Tokens], state: checkpoint.TrainingState, bar: Bar) -> None:
        whole(self, batch, state, bar)
        if state.step == self._schedule.steps:
            next(iter(self.weights.values())).data.view(-1)[0] = float("nan")

    monkeypatch.setattr(train.Training, "_step", breaking)
    for name in ("without", "with"):
        (tmp_path / name).mkdir()
    with pytest.raises(FineTuneError, match=r"Weights are infinite or NaN .* Lower finetune\.learning_rate_multiplier"):
        tuner(n_epochs=1).fit(pairs, [], tmp_path / "without")
    with pytest.raises(FineTuneError, match=r"The validation loss is nan at step \d+\. Lower"):
        tuner(n_epochs=1, n_evaluations=1).fit(pairs, pairs, tmp_path / "with")
    assert not list(tmp_path.rglob(WEIGHTS["lora"]))


def _die(step: int, tuner: LocalFineTuner, pairs: list[TrainingPair], folder: Path) -> None:
    """Fit as a process does that is killed before it has done step `step`, a checkpoint after each one before."""

    def dying(self: train.Training, batch: Sequence[Tokens], state: checkpoint.TrainingState, bar: Bar) -> None:
        if state.step == step:
            raise KeyboardInterrupt
        whole(self, batch, state, bar)

    whole = train.Training._step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "CHECKPOINT_SECONDS", 0.0)
        patch.setattr(train, "CHECKPOINT_COST", 0.0)
        patch.setattr(train.Training, "_step", dying)
        with pytest.raises(KeyboardInterrupt):
            tuner.fit(pairs, pairs[:5], folder)


def test_memory_that_runs_out_makes_parts_smaller_and_changes_nothing_else(
    tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / str(i) for i in range(3)]
    for folder in folders:
        folder.mkdir()
    settings = {"n_epochs": 1, "batch_size": 8, "dtype": "float32", "dropout": 0.0}
    whole = tuner(**settings).fit(pairs, pairs[:6], folders[0])
    part_loss, most, sizes = LossScorer.train, 2, list[int]()

    def limited(self: LossScorer, batch: TokenBatch, prompt_loss_weight: float, total_weight: float) -> float:
        sizes.append(len(batch.ids))
        loss = part_loss(self, batch, prompt_loss_weight, total_weight)
        if len(batch.ids) > most:  # after its gradient was added, which must not count
            allocate_on_cpu()
        return loss

    monkeypatch.setattr(LossScorer, "train", limited)
    parts = tuner(**settings).fit(pairs, pairs[:6], folders[1])
    assert max(sizes) > 2
    assert set(sizes[-5:]) <= {1, 2}
    assert parts.curve[-1].train_loss == pytest.approx(whole.curve[-1].train_loss, rel=1e-4)
    assert parts.curve[-1].validation_loss == pytest.approx(whole.curve[-1].validation_loss, rel=1e-4)
    most = 0
    with pytest.raises(FineTuneError, match=r"Out of memory with a single example of up to \d+ tokens at step 1"):
        tuner(**settings).fit(pairs, [], folders[2])


def test_template_options_are_trained_with(tiny_model: Path, tmp_path: Path, pairs: list[TrainingPair]) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "chat_template.jinja").write_text("{% if brief %}In brief: {% endif %}{{ messages[0]['content'] }}")
    config = LoraConfig(method=FineTuneMethod.lora, n_epochs=1)
    tokens = []
    for options in ({"brief": False}, {"brief": True}):
        model = LocalModelConfig("local", "tiny", str(folder), template_options=options)
        tuner = LocalFineTuner(config, model)
        (tuned := tmp_path / str(options["brief"])).mkdir()
        tokens.append(tuner.fit(pairs[1:2] * 4, [], tuned).tokens)
        assert tuner.model_config(tmp_path).template_options == options
    assert tokens[1] > tokens[0]
