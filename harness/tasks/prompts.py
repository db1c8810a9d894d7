"""Prompt templates: one rendering for evaluation and training, so that their prompts cannot differ.

Few-shot examples come from the training pool and are the same for every validation example, so that two models differ
in nothing but their answers.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.config import PromptConfig, PromptStyle, TaskConfig
from harness.errors import ConfigError
from harness.types import Example, Message, Prompt

SLOT = "{prompt}"
"""The place of the example's prompt in a template; nothing else in a template is special."""


def render(example: Example, task: TaskConfig, style: PromptConfig, shots: Sequence[Example] = ()) -> Prompt:
    """Return the prompt of one example, after the solved examples in `shots`.

    In the chat style, an example that is itself a conversation is sent unchanged.
    """
    if style.style is PromptStyle.chat:
        system = (Message("system", style.system),) if style.system and not example.messages else ()
        solved = tuple(
            message
            for shot in shots
            for message in (
                Message("user", _fill(task.instruction, shot.prompt, "instruction")),
                Message("assistant", shot.reference),
            )
        )
        question = example.messages or (Message("user", _fill(task.instruction, example.prompt, "instruction")),)
        return Prompt(example.id, source=example.prompt, messages=(*system, *solved, *question))
    parts = [f"{_fill(task.template, shot.prompt, 'template')} {shot.reference}" for shot in shots]
    parts.append(_fill(task.template, example.prompt, "template"))
    return Prompt(example.id, source=example.prompt, text=task.separator.join(parts))


def _fill(template: str, prompt: str, key: str) -> str:
    if SLOT not in template:
        raise ConfigError(f"task.{key}: expected a template with {SLOT}, got {template!r}")
    return template.replace(SLOT, prompt)
