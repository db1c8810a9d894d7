"""Prompts are the same bytes for evaluation and training, and templates are nothing but text with one slot."""

from __future__ import annotations

import pytest

from harness.config import PromptConfig, PromptStyle, TaskConfig
from harness.errors import ConfigError
from harness.tasks.prompts import plain_text, prompt_notices, render
from harness.types import Example, Message, Prompt

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


def test_system_message_and_instruction_reach_conversations_too() -> None:
    turns = (Message("system", "own"), Message("user", "a"), Message("assistant", "b"), Message("user", "u"))
    row, style = Example("1", "own\nu", "r", messages=turns), PromptConfig("chat", PromptStyle.chat, system="the run's")
    assert render(row, TASK, style).messages == (
        Message("system", "the run's\n\nown"),
        Message("user", "a"),
        Message("assistant", "b"),
        Message("user", "What is u?"),
    )
    assert [(n.code, n.count) for n in prompt_notices([row, EXAMPLE], style, ())] == [("system_joined", 1)]
    plain = TaskConfig(name="t", dataset="jsonl")
    assert render(row, plain, PromptConfig("chat", PromptStyle.chat)).messages == turns


def test_shots_follow_the_system_message_with_their_own_turns() -> None:
    style, task = PromptConfig("chat", PromptStyle.chat), TaskConfig(name="t", dataset="jsonl")
    system = Message("system", "s")
    shot_turns = (system, Message("user", "1"), Message("assistant", "2"), Message("user", "3"))
    shot = Example("shot", "s\n1\n2\n3", "4", messages=shot_turns)
    row = Example("1", "s\nq", "r", messages=(system, Message("user", "q")))
    prompt = render(row, task, style, [shot])
    assert [f"{m.role} {m.content}" for m in prompt.messages] == [
        "system s",
        "user 1",
        "assistant 2",
        "user 3",
        "assistant 4",
        "user q",
    ]
    assert prompt_notices([row], style, [shot]) == ()
    assert [n.code for n in prompt_notices([EXAMPLE], style, [shot])] == ["shot_system"]
    assert render(EXAMPLE, task, style, [shot]).messages[0].role == "user"


def test_a_system_message_for_a_plain_prompt_is_refused() -> None:
    with pytest.raises(ConfigError, match="a plain prompt has no system message"):
        render(EXAMPLE, TASK, PromptConfig("plain", PromptStyle.plain, system="x"))


def test_a_prompt_as_text_is_what_the_model_gets() -> None:
    chat = Prompt("1", messages=(Message("system", "s"), Message("user", "u")))
    assert plain_text(chat) == "system: s\n\nuser: u"
    assert plain_text(Prompt("1", text="t")) == "t"
    assert plain_text(Prompt("1", messages=chat.messages, rendered="<s>s<u>u")) == "<s>s<u>u"


def test_plain_shots_end_where_the_completion_starts() -> None:
    prompt = render(EXAMPLE, TASK, PromptConfig("plain", PromptStyle.plain), [SHOT])
    assert prompt.text == "Title: Ada\nText: Another language.\n\nTitle: C++ {x}\nText:"
    assert prompt.messages == ()


@pytest.mark.parametrize(
    ("template", "text"),
    [("Q: {prompt}\nA: ", "Q: C++ {x}\nA:"), ("Q: {prompt}\nA:\n", "Q: C++ {x}\nA:\n"), ("{prompt}", "C++ {x}")],
)
def test_spaces_at_the_end_of_a_plain_prompt_are_left_to_the_answer(template: str, text: str) -> None:
    task = TaskConfig(name="t", dataset="jsonl", template=template)
    assert render(EXAMPLE, task, PromptConfig("plain", PromptStyle.plain)).text == text


@pytest.mark.parametrize(("style", "key"), [(PromptStyle.chat, "instruction"), (PromptStyle.plain, "template")])
def test_a_template_without_a_slot_is_refused(style: PromptStyle, key: str) -> None:
    task = TaskConfig(name="t", dataset="jsonl", instruction="no slot", template="no slot")
    with pytest.raises(ConfigError, match=f"task.{key}: expected a template with"):
        render(EXAMPLE, task, PromptConfig("any", style))
