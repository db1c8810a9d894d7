"""The whole fine-tune on the tiny model: it learns, it resumes to the same weights, and its product loads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from safetensors.torch import load_file

from harness.config import FineTuneMethod, LocalModelConfig, LoraConfig, TrainingConfig
from harness.errors import ConfigError, FineTuneError
from harness.finetune import checkpoint, train
from harness.finetune.local import LocalFineTuner
from harness.hf.tokens import Tokens
from harness.models.local import LocalModel
from harness.progress import Bar
from harness.types import SamplingParams, TrainingPair

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
