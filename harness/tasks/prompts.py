"""Prompt templates: one rendering for evaluation and training, so that their prompts cannot differ.

Few-shot examples come from the training pool and are the same for every validation example, so that two models differ
in nothing but their answers. The run's system message and the task's instruction reach every row: where a row is a
conversation, its own system message follows the run's, and the instruction is put around its last user message.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from harness.config import PromptConfig, PromptStyle, TaskConfig
from harness.errors import ConfigError
from harness.hf.encoding import continued
from harness.tasks.rows import NoticeTexts, Origins, notices, origin_of
from harness.types import Example, Message, Notice, Prompt

SLOT = "{prompt}"
"""The place of the example's prompt in a template; nothing else in a template is special."""
SYSTEM_ROLES = ("system", "developer")
"""The roles of messages that stand before a conversation."""
_NOTICES: NoticeTexts = {
    "system_joined": ("prompt", "with a system message of its own, which follows that of prompt.system"),
    "shot_system": ("few-shot example", "with another system message than the questions', which is left out"),
}


def render(example: Example, task: TaskConfig, style: PromptConfig, shots: Sequence[Example] = ()) -> Prompt:
    """Return the prompt of one example, after the solved examples in `shots`; ConfigError for a template without slot.

    A chat prompt has one system message at most, then the turns of the solved examples, then those of the example.
    Spaces at the end of a plain prompt are left out: a model begins its answer with one, as in all texts that it was
    trained on.
    """
    if style.style is PromptStyle.chat:
        system, turns = _conversation(example, task)
        solved = tuple(
            message
            for shot in shots
            for message in (*_conversation(shot, task)[1], Message("assistant", shot.reference))
        )
        return Prompt(example.id, source=example.prompt, messages=(*_joined(style.system, system), *solved, *turns))
    if style.system:
        raise ConfigError("prompt.system: a plain prompt has no system message. Put the text into task.template.")
    parts = [continued(_fill(task.template, shot.prompt, "template"), shot.reference) for shot in shots]
    parts.append(_fill(task.template, example.prompt, "template"))
    text = task.separator.join(parts)
    return Prompt(example.id, source=example.prompt, text=text.rstrip(" ") or text)


def plain_text(prompt: Prompt) -> str:
    """Return what a model gets as one text: as its tokenizer gets it, or each message with its role before it."""
    if prompt.rendered or not prompt.messages:
        return prompt.rendered or prompt.text
    return "\n\n".join(f"{message.role}: {message.content}" for message in prompt.messages)


def prompt_notices(examples: Sequence[Example], style: PromptConfig, shots: Sequence[Example]) -> tuple[Notice, ...]:
    """Return notices about system messages of the data that chat prompts join with others, or leave out."""
    if style.style is not PromptStyle.chat:
        return ()
    systems = {_system_of(example) for example in examples}
    origins: Origins = defaultdict(list)
    origins["system_joined"] = [origin_of(e) for e in examples if style.system and _system_of(e)]
    origins["shot_system"] = [origin_of(e) for e in shots if _system_of(e) and {_system_of(e)} != systems]
    return notices(origins, _NOTICES)


def _conversation(example: Example, task: TaskConfig) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """Return an example's own system messages and its turns, the instruction around the last one."""
    messages = example.messages or (Message("user", example.prompt),)
    n_system = next((i for i, message in enumerate(messages) if message.role not in SYSTEM_ROLES), len(messages))
    *earlier, last = messages[n_system:]
    question = Message(last.role, _fill(task.instruction, last.content, "instruction"))
    return messages[:n_system], (*earlier, question)


def _joined(text: str, own: tuple[Message, ...]) -> tuple[Message, ...]:
    """Return the run's system text and a row's own system messages as one message, which every template takes."""
    texts = [part for part in (text, *(message.content for message in own)) if part]
    role = own[0].role if own else "system"
    return (Message(role, "\n\n".join(texts)),) if texts else ()


def _system_of(example: Example) -> str:
    return "\n\n".join(message.content for message in example.messages if message.role in SYSTEM_ROLES)


def _fill(template: str, prompt: str, key: str) -> str:
    if SLOT not in template:
        raise ConfigError(f"task.{key}: expected a template with {SLOT}, got {template!r}")
    return template.replace(SLOT, prompt)
