"""The chat form of OpenAI's fine-tuning files: {"messages": [{"role": "user", "content": "…"}, …]}.

The last message is the completion and the ones before it are the prompt. Whatever a message holds beyond a role and
a text, such as tool calls or weights, would change what the model sees or learns, so it is refused, never left out.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.tasks.fields import BadRow, checked, kind
from harness.types import Message

KEY = "messages"
ROLES = ("system", "developer", "user", "assistant")


def turns(messages: object) -> tuple[tuple[Message, ...], str]:
    """Return the prompt's messages and the completion; BadRow when `messages` is anything but such a chat."""
    if not isinstance(messages, list) or len(messages) < 2:
        got = f"{len(messages)} of them" if isinstance(messages, list) else kind(messages)
        raise BadRow(f"messages: expected a list of a user message and the assistant's answer or more, got {got}")
    *prompt, answer = [_message(message, f"messages[{i}]") for i, message in enumerate(messages)]
    if answer.role != "assistant":
        raise BadRow(f"messages: expected the last one to be the assistant's, the completion, got {answer.role!r}")
    if prompt[-1].role != "user":
        raise BadRow(f"messages: expected a user message before the completion, got {prompt[-1].role!r}")
    return tuple(prompt), answer.content


def _message(message: object, name: str) -> Message:
    if not isinstance(message, Mapping):
        raise BadRow(f"{name}: expected an object with role and content, got {kind(message)}")
    role = message.get("role")
    if role not in ROLES:
        raise BadRow(f"{name}.role: expected one of {', '.join(ROLES)}, got {role!r}")
    extra = sorted(str(key) for key, value in message.items() if key not in ("role", "content") and value is not None)
    if extra:
        raise BadRow(f"{name}: only role and content are supported, got {', '.join(extra)}; remove the key or the row")
    return Message(role, checked(message.get("content"), f"{name}.content"))
