"""What tests of the local backend share: prompts, and running them through a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.config import LocalModelConfig
from harness.models.local import LocalModel
from harness.types import Completion, FinishReason, Message, Prompt, SamplingParams

TITLES = (
    "Rain",
    "A river in the north of the country",
    "Leaves",
    "Light, and what it is",
    "Q",
    "Stream of water",
    "It",
)
CHAT = [Prompt(title, messages=(Message("user", f"What is {title}?"),)) for title in TITLES]
PLAIN = [Prompt(title, text=f"{title} is") for title in TITLES]


def model_of(folder: Path, **settings: Any) -> LocalModel:
    return LocalModel(LocalModelConfig(backend="local", name="tiny", path=str(folder), device="cpu", **settings))


def run(model: LocalModel, prompts: Sequence[Prompt], decoding: SamplingParams) -> dict[str, Completion]:
    completions = list(model.generate(prompts, decoding))
    assert sorted(c.example_id for c in completions) == sorted(p.example_id for p in prompts)
    return {c.example_id: c for c in completions}


def outcomes(completions: dict[str, Completion]) -> dict[str, tuple[str | None, int | None, FinishReason]]:
    return {id: (c.text, c.completion_tokens, c.finish_reason) for id, c in completions.items()}
