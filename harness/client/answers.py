"""How a reply with status 200 is read: its text, the reasoning beside it, why it ended, and its tokens.

Services agree on the outline of OpenAI's replies and on little else: a text is a string or a list of parts, reasoning
has a field of its own under many names, the reason of an ending has a dozen words, and an answer that broke off comes
with status 200 too. What is not certain to be a whole answer is no whole answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.client.endings import Ending, at_stop, ending_of
from harness.client.replies import Refused, Unusable
from harness.types import FinishReason

_DEPTH = 4
"""Parts that are nested deeper than this are not read."""
_MOST_TOKENS = 10**9
"""A count beyond this is none."""
_MOST_SERVED = 200
"""The most characters of the name under which a service reports its model."""
_REASONING = ("reasoning_content", "reasoning", "thinking", "reasoning_text", "thinking_blocks", "reasoning_details")
_IGNORED_PARTS = ("reference", "citation", "annotation")


@dataclass(frozen=True, slots=True)
class ServiceChoice:
    """The answer in a reply, as it came."""

    text: str | None
    reasoning: str | None
    ending: Ending
    reason: str
    """What the service calls the ending."""
    at_stop: bool | None
    """Whether a stop sequence ended it; None where the service does not tell."""


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """The tokens that a reply reports; None where it reports none, or no number."""

    prompt: int | None = None
    completion: int | None = None
    cached: int | None = None
    reasoning: int | None = None


def choice_of(reply: Mapping[str, Any], chat: bool) -> ServiceChoice:
    """Return the answer in a reply; Unusable where it has another form, Refused where it holds no text."""
    choice = _first(reply.get("choices"))
    message = choice.get("message") if chat else choice
    if not isinstance(message, Mapping):
        raise Unusable("the choice has no message")
    text, inside = _content(message.get("content" if chat else "text"))
    refusal = message.get("refusal")
    if not (text or "").strip() and isinstance(refusal, str) and refusal:
        text = refusal
    if message.get("tool_calls") or message.get("function_call"):
        raise Refused("the model asked for a tool instead of answering: take the tools out of model.extra")
    beside = (_plain(message.get(name) or choice.get(name)).strip() for name in _REASONING)
    reasoning = "\n\n".join(part for part in (next(filter(None, beside), ""), inside) if part)
    ending, reason = ending_of(choice.get("finish_reason"))
    return ServiceChoice(text, whole_characters(reasoning) or None, ending, reason, at_stop(choice))


def tokens_of(reply: Mapping[str, Any]) -> TokenCounts:
    """Return the tokens that a reply reports."""
    usage = reply.get("usage")
    if not isinstance(usage, Mapping):
        return TokenCounts()
    prompt = _count(usage, "prompt_tokens", "input_tokens")
    cached = _count(usage.get("prompt_tokens_details"), "cached_tokens")
    cached = _count(usage, "prompt_cache_hit_tokens", "cached_tokens") if cached is None else cached
    reasoning = _count(usage.get("completion_tokens_details"), "reasoning_tokens")
    return TokenCounts(
        prompt,
        _count(usage, "completion_tokens", "output_tokens"),
        cached if prompt is None or cached is None or cached <= prompt else None,
        _count(usage, "reasoning_tokens") if reasoning is None else reasoning,
    )


def served_by(reply: Mapping[str, Any]) -> str | None:
    """Return the model, with its fingerprint, that a reply names."""
    names = [reply.get(key) for key in ("model", "system_fingerprint")]
    text = " ".join(name for name in names if isinstance(name, str) and name)
    return "".join(c if c.isprintable() else " " for c in text[:_MOST_SERVED]).strip() or None


def reason_of(choice: ServiceChoice, tokens: TokenCounts, max_tokens: int) -> FinishReason:
    """Return why an answer ended; Unusable or Refused where it is not one.

    An answer without text whose tokens went into reasoning, or that used all tokens that there were, is truncated.
    """
    if choice.ending is Ending.BROKEN:
        raise Unusable(f"the answer broke off (finish_reason {choice.reason!r})")
    if choice.ending is Ending.TOOL:
        raise Refused(f"the model asked for a tool instead of answering (finish_reason {choice.reason!r})")
    used_up = tokens.completion is not None and tokens.completion >= max_tokens
    if (choice.text or "").strip():
        if choice.ending is Ending.UNKNOWN and used_up:
            return FinishReason.LENGTH
        return {Ending.STOP: FinishReason.STOP, Ending.UNKNOWN: FinishReason.UNKNOWN}.get(
            choice.ending, FinishReason.LENGTH
        )
    if choice.ending is Ending.WITHHELD:
        raise Refused(f"{choice.reason}: the service withheld the answer")
    if choice.reasoning or tokens.reasoning or used_up or choice.ending is Ending.LENGTH:
        return FinishReason.LENGTH
    if choice.text is None or choice.ending is not Ending.STOP:
        raise Unusable(f"expected a choice with text, got {choice.text!r} (finish_reason {choice.reason})")
    return FinishReason.STOP


def whole_characters(text: str) -> str:
    """Return the text with surrogate pairs joined, and each half of one that is alone as U+FFFD.

    A service that cuts UTF-16 sends half a character at times, which can be neither stored nor shown.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _first(choices: object) -> Mapping[str, Any]:
    """Return the first choice by index, or the first one; Unusable where there is none."""
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise Unusable("the reply has no choice")
    named = (c for c in choices if isinstance(c, Mapping) and c.get("index") == 0)
    first: Mapping[str, Any] = next(named, choices[0])
    return first


def _content(content: object) -> tuple[str | None, str]:
    """Return the text and the reasoning in a message's content: a string, None, or parts of either kind."""
    if content is None or isinstance(content, str):
        return content, ""
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, list):
        raise Unusable(f"expected a text, got {type(content).__name__}")
    texts: list[str] = []
    reasoning: list[str] = []
    for part in content:
        is_reasoning, text = _part(part)
        (reasoning if is_reasoning else texts).append(text)
    return "".join(texts) if texts or not reasoning else None, "\n\n".join(filter(None, reasoning))


def _part(part: object) -> tuple[bool, str]:
    """Return whether a part of the content is reasoning, and its text."""
    if isinstance(part, str):
        return False, part
    if not isinstance(part, Mapping):
        raise Unusable(f"expected a part of a text, got {type(part).__name__}")
    kind = str(part.get("type") or "text").lower()
    if part.get("thought") is True or any(stem in kind for stem in ("think", "reason", "thought")):
        return True, _plain(part)
    if kind in _IGNORED_PARTS:
        return False, ""
    if kind not in ("text", "output_text", "refusal"):
        raise Refused(f"the answer has a part of type {kind!r}, which is not text")
    text = part.get(kind) if kind == "refusal" else part.get("text")
    if isinstance(text, Mapping):
        text = text.get("value")
    if not isinstance(text, str):
        raise Unusable(f"expected a part with text, got {type(text).__name__}")
    return False, text


def _plain(value: object, depth: int = 0) -> str:
    """Return the text in a field or part of reasoning, whatever its form."""
    if isinstance(value, str):
        return value
    if depth > _DEPTH:
        return ""
    if isinstance(value, Mapping):
        keys = ("thinking", "reasoning", "text", "summary", "content", "value")
        return next(filter(None, (_plain(value.get(key), depth + 1) for key in keys)), "")
    if isinstance(value, Sequence):
        return "\n\n".join(filter(None, (_plain(item, depth + 1) for item in value)))
    return ""


def _count(usage: object, *names: str) -> int | None:
    """Return a number of tokens, under the first of the names that has one; None for what is none."""
    for name in names if isinstance(usage, Mapping) else ():
        value = usage.get(name)  # type: ignore[attr-defined]
        if isinstance(value, str) and value.strip().isdecimal() and len(value) < 12:
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS:
            return value
    return None
