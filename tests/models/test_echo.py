"""The shipped fake."""

from __future__ import annotations

import pytest

from harness.config import EchoModelConfig
from harness.errors import ConfigError
from harness.models.echo import EchoModel
from harness.protocols import Model
from harness.types import Completion, FinishReason, Message, Prompt, SamplingParams, StopAt

PROMPTS = [Prompt(str(i), text=f"Question {i}") for i in range(200)]


def echo(prompts: list[Prompt], decoding: SamplingParams, error_rate: float = 0.0) -> list[Completion]:
    model = EchoModel(EchoModelConfig(backend="echo", name="echo", error_rate=error_rate))
    assert isinstance(model, Model)
    return list(model.generate(prompts, decoding))


@pytest.mark.parametrize(
    ("decoding", "text", "reason", "tokens"),
    [
        (SamplingParams(), "What is x? is what was asked. Nothing more is known.", FinishReason.STOP, 11),
        (SamplingParams(max_tokens=2), "What is", FinishReason.LENGTH, 2),
        (SamplingParams(max_tokens=11), "What is x? is what was asked. Nothing more is known.", FinishReason.STOP, 11),
        (SamplingParams(stop=("asked",)), "What is x? is what was", FinishReason.STOP, 11),
        (SamplingParams(stop_at=StopAt.sentence), "What is x? is what was asked.", FinishReason.STOP, 11),
    ],
)
def test_text_and_stop_rules(decoding: SamplingParams, text: str, reason: FinishReason, tokens: int) -> None:
    for prompt in (Prompt("a", text="What is x?"), Prompt("a", messages=(Message("user", "What is x?"),))):
        [completion] = echo([prompt], decoding)
        assert (completion.text, completion.finish_reason, completion.completion_tokens) == (text, reason, tokens)


def test_reasoning_is_separated_from_what_is_repeated() -> None:
    [completion] = echo([Prompt("a", text="<think> one\ntwo </think> What is x?")], SamplingParams(stop=("is",)))
    assert (completion.text, completion.reasoning) == ("What", "one two")
    assert completion.raw == "<think> one two </think> What is x? is what was asked. Nothing more is known."


def test_the_share_that_fails_is_chosen_by_prompt() -> None:
    failed = {c.example_id for c in echo(PROMPTS, SamplingParams(), error_rate=0.25) if c.error}
    assert 30 <= len(failed) <= 70
    assert failed == {c.example_id for c in echo(PROMPTS[::-1], SamplingParams(), error_rate=0.25) if c.error}
    assert len([c for c in echo(PROMPTS, SamplingParams(), error_rate=1.0) if c.text is None]) == len(PROMPTS)


def test_an_impossible_share_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"from 0 to 1, got 1\.5"):
        EchoModel(EchoModelConfig(backend="echo", name="echo", error_rate=1.5))
