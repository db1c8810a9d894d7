"""What is chosen where the config is silent, the learning rate over the steps, and refused settings."""

from __future__ import annotations

from typing import Any

import pytest

from harness.config import FineTuneMethod, LoraConfig, Schedule
from harness.errors import ConfigError
from harness.finetune.schedule import auto_batch_size, auto_epochs, training_schedule


@pytest.mark.parametrize(
    ("n", "batch_size", "epochs"), [(1, 4, 25), (20, 4, 5), (400, 4, 3), (50_000, 100, 1), (1_000_000, 256, 1)]
)
def test_defaults_suit_small_and_large_sets(n: int, batch_size: int, epochs: int) -> None:
    assert (auto_batch_size(n), auto_epochs(n)) == (batch_size, epochs)


def test_a_schedule_counts_the_last_short_batch_and_ends_with_an_evaluation() -> None:
    resolved = training_schedule(LoraConfig(method=FineTuneMethod.lora, n_epochs=2, batch_size=8, n_evaluations=3), 20)
    assert (resolved.epoch_steps, resolved.steps, sorted(resolved.evaluate_at)) == (3, 6, [2, 4, 6])
    assert training_schedule(LoraConfig(method=FineTuneMethod.lora, n_epochs=1, batch_size=64), 3).evaluate_at == {1}


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (Schedule.constant, [0.5, 1, 1, 1, 1, 1]),
        (Schedule.linear, [0.5, 1, 1, 0.75, 0.5, 0.25]),
        (Schedule.cosine, [0.5, 1, 1, 0.853553, 0.5, 0.146447]),
    ],
)
def test_the_rate_rises_to_its_peak_and_follows_the_schedule(schedule: Schedule, rates: list[float]) -> None:
    config = LoraConfig(
        method=FineTuneMethod.lora,
        n_epochs=6,
        batch_size=20,
        warmup_ratio=0.3,
        schedule=schedule,
        learning_rate_multiplier=1000,
    )
    resolved = training_schedule(config, 20)
    assert [resolved.rate(step) for step in range(6)] == pytest.approx(rates, abs=1e-6)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"n_epochs": 0}, r"finetune\.n_epochs: expected 1 or more, or null, got 0"),
        ({"batch_size": -1}, r"finetune\.batch_size: expected 1 or more, or null, got -1"),
        ({"learning_rate_multiplier": 0.0}, r"finetune\.learning_rate_multiplier: expected more than 0, got 0\.0"),
        ({"learning_rate_multiplier": float("nan")}, r"learning_rate_multiplier: expected more than 0, got nan"),
        ({"prompt_loss_weight": 1.5}, r"finetune\.prompt_loss_weight: expected 0 to 1, got 1\.5"),
        ({"warmup_ratio": -0.1}, r"finetune\.warmup_ratio: expected 0 to 1, got -0\.1"),
        ({"weight_decay": -1.0}, r"finetune\.weight_decay: expected 0 or more, got -1\.0"),
        ({"dtype": "int8"}, r"finetune\.dtype: expected auto, float32, bfloat16, got int8"),
        ({"n_evaluations": 0}, r"finetune\.n_evaluations: expected 1 or more, got 0"),
        ({"rank": 0}, r"finetune\.rank: expected 1 or more, got 0"),
        ({"alpha": 0}, r"finetune\.alpha: expected 1 or more, got 0"),
        ({"dropout": 1.0}, r"finetune\.dropout: expected 0 or more and less than 1, got 1\.0"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LoraConfig(method=FineTuneMethod.lora, **setting)


def test_there_is_no_schedule_without_examples() -> None:
    with pytest.raises(ConfigError, match="expected 1 or more training examples"):
        training_schedule(LoraConfig(method=FineTuneMethod.lora), 0)
