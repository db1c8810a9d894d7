"""What is known of a fine-tune before any weight is loaded: the inputs of its key, and its resolved hyper-parameters.

Names are those of OpenAI's fine-tuning API where it has one. What the config leaves open is chosen from the number
of examples, so that the same config suits 20 of them as well as 50,000.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.config import FineTuneMethod, Schedule, SupervisedConfig, TrainingConfig
from harness.errors import ConfigError
from harness.store.digest import digest
from harness.types import ModelIdentity, TrainingPair

BASE_LEARNING_RATE = {FineTuneMethod.lora: 1e-3, FineTuneMethod.full: 5e-5}
"""What `learning_rate_multiplier` multiplies."""


@dataclass(frozen=True, slots=True)
class TrainingSchedule:
    """The optimiser steps of a fine-tune, the examples per step, the learning rate, and when validation happens."""

    batch_size: int
    epoch_steps: int
    steps: int
    """In all epochs together."""
    warmup: int
    peak_rate: float
    schedule: Schedule
    evaluate_at: frozenset[int]

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.peak_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        if self.schedule is Schedule.linear:
            return self.peak_rate * (1 - done)
        if self.schedule is Schedule.cosine:
            return self.peak_rate * (1 + math.cos(math.pi * done)) / 2
        return self.peak_rate


def finetune_inputs(
    base: ModelIdentity, config: SupervisedConfig, train: Sequence[TrainingPair], validation: Sequence[TrainingPair]
) -> dict[str, Any]:
    """Return everything that decides a fine-tune; its digest is the key of the stage and of a hosted job."""
    return {"base": base, "config": config, "train": digest(train), "validation": digest(validation)}


def training_schedule(config: TrainingConfig, n: int) -> TrainingSchedule:
    """Return the schedule for `n` training examples; ConfigError when there are none."""
    if n < 1:
        raise ConfigError(
            "finetune: expected 1 or more training examples, got 0. Give more rows, a training file (task.train_path), "
            "or a lower task.validation_pool."
        )
    batch_size = min(n, config.batch_size or auto_batch_size(n))
    epoch_steps = math.ceil(n / batch_size)
    steps = epoch_steps * (config.n_epochs or auto_epochs(n))
    return TrainingSchedule(
        batch_size=batch_size,
        epoch_steps=epoch_steps,
        steps=steps,
        warmup=math.ceil(config.warmup_ratio * steps),
        peak_rate=config.learning_rate_multiplier * BASE_LEARNING_RATE[config.method],
        schedule=config.schedule,
        evaluate_at=frozenset(math.ceil(steps * i / config.n_evaluations) for i in range(1, config.n_evaluations + 1)),
    )


def auto_batch_size(n: int) -> int:
    """Return about 0.2% of the examples, as OpenAI's first fine-tuning API did, clamped to 4 to 256."""
    return min(256, max(4, round(n * 0.002)))


def auto_epochs(n: int) -> int:
    """Return 3 epochs, or the number that gives 100 to 25,000 examples in total, clamped to 1 to 25.

    The rule is that of OpenAI's cookbook, "Data preparation and analysis for chat model fine-tuning".
    """
    if n * 3 < 100:
        return min(25, 100 // n)
    return max(1, min(3, 25_000 // n))
