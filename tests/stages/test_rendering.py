"""Prompts as the model gets them, and references that it could not give back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.config import EchoModelConfig, PromptConfig, PromptStyle, TaskConfig
from harness.models.echo import EchoModel
from harness.stages.rendering import estimate_tokens, reference_notices, rendered, stop_sequences
from harness.types import EncodedText, Example, Message, Prompt, SamplingParams, StopAt

CHAT, PLAIN = PromptConfig("chat", PromptStyle.chat), PromptConfig("plain", PromptStyle.plain)
TASK = TaskConfig(name="t", dataset="jsonl")
ECHO = EchoModel(EchoModelConfig("echo", "echo"))


class Tokenizing(EchoModel):
    """A model whose tokens are characters, and whose tokenizer loses <s>."""

    def rendered(self, prompts: Sequence[Prompt]) -> list[EncodedText]:
        texts = ["".join(f"<{m.role}>{m.content}" for m in prompt.messages) or prompt.text for prompt in prompts]
        return [EncodedText(text, len(text), text) for text in texts]

    def encoded(self, completions: Sequence[str]) -> list[EncodedText]:
        return [EncodedText(text, len(text) + 1, text.replace("<s>", "")) for text in completions]


def model() -> Tokenizing:
    return Tokenizing(EchoModelConfig("echo", "echo"))


@pytest.mark.parametrize(
    ("reference", "decoding", "codes"),
    [
        ("one line", SamplingParams(stop_at=StopAt.line), []),
        ("two\nlines", SamplingParams(), []),
        ("two\nlines", SamplingParams(stop_at=StopAt.line), ["reference_truncated"]),
        ("One. Two.", SamplingParams(stop_at=StopAt.sentence), ["reference_truncated"]),
        ("One sentence.", SamplingParams(stop_at=StopAt.sentence), []),
        ("a;b", SamplingParams(stop=(";",)), ["reference_truncated"]),
        ("<think>why</think>b", SamplingParams(), ["reference_reasoning"]),
        ("<think>why</think>b", SamplingParams(answer_after=""), []),
        ("2+2 #### 4", SamplingParams(answer_after="####"), ["reference_reasoning"]),
        ("4", SamplingParams(answer_after="####"), []),
        ("日本語" * 40, SamplingParams(max_tokens=64), ["over_limit"]),
        ("word " * 60, SamplingParams(max_tokens=64), ["over_limit"]),
        ("word " * 40, SamplingParams(max_tokens=64), []),
    ],
)
def test_references_that_no_completion_can_equal(reference: str, decoding: SamplingParams, codes: list[str]) -> None:
    rows = [Example("1", "p", reference), Example("2", "p", "x")]
    notices = reference_notices(ECHO, rows, TASK, CHAT, decoding)
    assert [(n.code, n.count) for n in notices] == [(code, 1) for code in codes]


def test_the_models_own_tokenizer_counts_and_decodes() -> None:
    rows = [Example("1", "p", "12345"), Example("2", "p", "a<s>b"), Example("3", "p", "1234567")]
    notices = reference_notices(model(), rows, TASK, CHAT, SamplingParams(max_tokens=6))
    assert [(n.code, n.count) for n in notices] == [("over_limit", 1), ("not_decodable", 1)]
    assert "generation.max_tokens=6" in notices[0].message
    assert "the longest has 8" in notices[0].message


def test_a_plain_prompt_ends_at_the_separator_unless_a_reference_contains_it() -> None:
    short, long = Example("1", "p", "one"), Example("2", "p", "one\n\ntwo")
    task = TaskConfig(name="t", dataset="jsonl", stop=["END"])
    assert stop_sequences(task, PLAIN, [short]) == ("END", "\n\n")
    assert stop_sequences(task, CHAT, [short]) == ("END",)
    assert stop_sequences(task, PLAIN, [short, long]) == ("END",)
    (notice,) = reference_notices(ECHO, [short, long], task, PLAIN, SamplingParams(stop=("END",)))
    assert (notice.code, notice.count) == ("separator_in_reference", 1)


def test_prompts_are_rendered_where_there_is_a_tokenizer() -> None:
    prompts = [Prompt("1", messages=(Message("user", "Hi"),)), Prompt("2", text="plain")]
    assert [prompt.rendered for prompt in rendered(model(), prompts)] == ["<user>Hi", "plain"]
    assert rendered(ECHO, prompts) == tuple(prompts)


def test_the_estimate_counts_scripts_without_spaces() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("one two three four five") == 7
    assert 400 <= estimate_tokens("漢" * 640) <= 900
