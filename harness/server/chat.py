"""/v1/chat/completions: messages through the model's own chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.server.engine import Answer
from harness.server.errors import invalid
from harness.server.fields import Fields
from harness.server.generation import Form, Head, Wanted, finish, reason, text, usage
from harness.server.settings import Limits
from harness.tasks.rows import ROLES
from harness.types import Message, Prompt

NEUTRAL: dict[str, Sequence[object]] = {
    "logprobs": (False,),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "tool_choice": ("none",),
    "modalities": (["text"],),
    "store": (False,),
    "service_tier": ("auto", "default"),
}


def _parse(fields: Fields, limits: Limits) -> Wanted:
    messages = fields.take("messages")
    if not isinstance(messages, list) or not messages:
        fields.refuse("messages", "a list of messages", messages)
    turns = tuple(_message(message, f"messages[{i}]") for i, message in enumerate(messages))
    newer = fields.integer("max_completion_tokens", 1, limits.max_tokens)
    older = fields.integer("max_tokens", 1, limits.max_tokens)
    if newer and older and newer != older:
        raise invalid("max_tokens and max_completion_tokens differ: give one of them.", "max_tokens")
    fields.take("metadata")  # labels a stored answer, and none is stored
    fields.neutral(NEUTRAL)
    return finish(fields, (Prompt("", messages=turns),), newer or older or limits.max_tokens)


def _message(value: object, name: str) -> Message:
    fields = Fields(value, name)
    role = fields.choice("role", ROLES)
    content = fields.take("content")
    if isinstance(content, list):
        content = "".join(_part(part, f"{name}.content[{i}]") for i, part in enumerate(content))
    fields.neutral({"refusal": (), "annotations": ([],), "tool_calls": ([],)})
    fields.done()
    return Message(role, text(content, f"{name}.content"))


def _part(value: object, name: str) -> str:
    fields = Fields(value, name)
    fields.choice("type", ("text",))
    found = text(fields.take("text"), f"{name}.text")
    fields.done()
    return found


def _whole(head: Head, answers: Sequence[Answer]) -> dict[str, Any]:
    return {
        **head.json("chat.completion", answers[0].fingerprint),
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": answer.completion.text, "refusal": None},
                "logprobs": None,
                "finish_reason": reason(answer.completion),
            }
            for index, answer in enumerate(answers)
        ],
        "usage": usage(answers),
    }


def _piece(head: Head, said: str | None, ended: str | None, first: bool) -> dict[str, Any]:
    delta = {} if said is None else {"content": said}
    if first:
        delta["role"] = "assistant"
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": ended}
    return {**head.json("chat.completion.chunk", None), "choices": [choice]}


CHAT = Form("chatcmpl-", _parse, _whole, _piece)
