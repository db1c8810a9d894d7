"""Prompts are the same bytes for evaluation and training, and templates are nothing but text with one slot."""

from __future__ import annotations

import pytest

from harness.config import PromptConfig, PromptStyle, TaskConfig
from harness.errors import ConfigError
from harness.tasks.prompts import render
from harness.types import Example, Message

TASK = TaskConfig(name="t", dataset="jsonl", instruction="What is {prompt}?", template="Title: {prompt}\nText:")
EXAMPLE = Example("1", "C++ {x}", "A language.")
SHOT = Example("2", "Ada", "Another language.")


def test_chat_asks_the_instruction() -> None:
    prompt = render(EXAMPLE, TASK, PromptConfig("chat", PromptStyle.chat))
    assert prompt.messages == (Message("user", "What is C++ {x}?"),)
    assert prompt.source == "C++ {x}"


def test_chat_with_system_and_shots_is_a_conversation() -> None:
    prompt = render(EXAMPLE, TASK, PromptConfig("chat", PromptStyle.chat, system="Be brief."), [SHOT])
    assert [m.role for m in prompt.messages] == ["system", "user", "assistant", "user"]
    assert prompt.messages[2].content == "Another language."


def test_an_example_that_is_a_conversation_is_asked_as_it_is() -> None:
    turns = (Message("system", "s"), Message("user", "u"))
    prompt = render(Example("1", "s\nu", "r", messages=turns), TASK, PromptConfig("chat", PromptStyle.chat, system="x"))
    assert prompt.messages == turns


def test_plain_shots_end_where_the_completion_starts() -> None:
    prompt = render(EXAMPLE, TASK, PromptConfig("plain", PromptStyle.plain), [SHOT])
    assert prompt.text == "Title: Ada\nText: Another language.\n\nTitle: C++ {x}\nText:"
    assert prompt.messages == ()


@pytest.mark.parametrize(("style", "key"), [(PromptStyle.chat, "instruction"), (PromptStyle.plain, "template")])
def test_a_template_without_a_slot_is_refused(style: PromptStyle, key: str) -> None:
    task = TaskConfig(name="t", dataset="jsonl", instruction="no slot", template="no slot")
    with pytest.raises(ConfigError, match=f"task.{key}: expected a template with"):
        render(EXAMPLE, task, PromptConfig("any", style))
