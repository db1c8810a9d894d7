"""Short question-and-answer pairs, and fine-tuners of the tiny model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.config import FineTuneMethod, LocalModelConfig, LoraConfig, TrainingConfig
from harness.finetune.local import LocalFineTuner
from harness.types import Message, Prompt, TrainingPair

THINGS = ("a river", "a leaf", "sugar", "light", "the sea", "a lake", "a stream", "water", "a process", "nature")


@pytest.fixture(scope="session")
def pairs() -> list[TrainingPair]:
    """Twenty pairs of several lengths, plain and chat by turns."""
    pairs = []
    for number, thing in enumerate([*THINGS, *(f"{thing} in {number}" for number, thing in enumerate(THINGS))]):
        question = f"What is {thing}?"
        chat = Prompt(str(number), messages=(Message("user", question),))
        pairs.append(TrainingPair(chat if number % 2 else Prompt(str(number), text=question), f"It is {thing}. " * 2))
    return pairs


@pytest.fixture
def tuner(tiny_model: Path) -> Callable[..., LocalFineTuner]:
    """Make a fine-tuner from settings of `LoraConfig`, or of `TrainingConfig` with method=full."""

    def make(method: str = "lora", **settings: Any) -> LocalFineTuner:
        schema, multiplier = (LoraConfig, 20.0) if method == "lora" else (TrainingConfig, 200.0)
        config = schema(**{"method": FineTuneMethod(method), "learning_rate_multiplier": multiplier, **settings})
        return LocalFineTuner(config, LocalModelConfig(backend="local", name="tiny", path=str(tiny_model)))

    return make
