"""The chat and completions requests of OpenAI-compatible services, and how their replies become completions.

Requests that are sent one by one and in batches are built here alike, so that the model sees no difference.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from harness.client.replies import Refused, Unusable
from harness.client.requests import RequestOutcome, ServiceRequest, prompt_tokens
from harness.config import OpenAIModelConfig
from harness.config.model import EndpointKind
from harness.errors import ConfigError
from harness.tasks.stopping import end_of, tidy
from harness.types import Completion, FinishReason, Prompt, SamplingParams

MOST_STOPS = 4
"""The most stop sequences that services accept; the text is truncated here at all of them anyway."""
_REASONS = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
}
_RENAMED = {"max_tokens": "max_completion_tokens"}
_DISPENSABLE = ("stop", "seed")
"""Settings that some services refuse and that can be left out: the text is truncated at stops here too, and OpenAI
documents seeds as best effort."""


class Dialect:
    """Builds requests from prompts and reads replies, for the chat and the completions endpoint."""

    def __init__(self, config: OpenAIModelConfig, decoding: SamplingParams) -> None:
        self._chat = config.endpoint is EndpointKind.chat
        self._decoding = decoding
        settings = {
            "model": config.id,
            "max_tokens": decoding.max_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "seed": decoding.seed,
            "stop": list(decoding.stop[:MOST_STOPS]) or None,
            **config.extra,
        }
        self._settings = {key: value for key, value in settings.items() if value is not None}
        self._without: set[str] = set()

    def request(self, prompt: Prompt) -> ServiceRequest:
        """Return the request for a prompt; ConfigError for a conversation where plain text is completed."""
        tokens = prompt_tokens(prompt) + self._decoding.max_tokens
        return ServiceRequest(prompt.example_id, self._content(prompt), tokens)

    def fields(self, request: ServiceRequest) -> dict[str, Any]:
        """Return the request as the service's fields."""
        return {**self._settings, **request.content}

    def body(self, request: ServiceRequest) -> bytes:
        """Return the body of the POST."""
        return json.dumps(self.fields(request)).encode()

    def adapt(self, parameter: str) -> bool:
        """Rename a setting that the service refused, or leave it out where that changes no text; False for others."""
        if parameter in self._without:
            return True  # this request was sent before another one was refused
        renamed = _RENAMED.get(parameter)
        if parameter not in self._settings or not (renamed or parameter in _DISPENSABLE):
            return False
        value = self._settings.pop(parameter)
        self._without.add(parameter)
        if renamed:
            self._settings[renamed] = value
        else:
            print(f"generate: the service does not accept {parameter!r}: it is left out", file=sys.stderr)
        return True

    def check(self, answer: dict[str, Any]) -> None:
        """Raise Unusable where there is no choice, Refused where the answer was withheld or has no text."""
        text, reason = self._text_and_reason(answer)
        if reason == "content_filter" and end_of(text or "", self._decoding) is None:
            raise Refused("content_filter: the service withheld the answer")
        if text is None:
            raise Refused(f"the answer has no text (finish_reason {reason})")

    def completion(self, outcome: RequestOutcome) -> Completion:
        """Return the completion of a finished request."""
        if outcome.answer is None:
            return Completion(
                outcome.request.id,
                None,
                FinishReason.ERROR,
                error=outcome.error or "no reason given",
                seconds=outcome.seconds,
            )
        text, reason = self._text_and_reason(outcome.answer)
        end = end_of(text or "", self._decoding)
        usage = outcome.answer.get("usage") or {}
        return Completion(
            outcome.request.id,
            tidy(text or "", end),
            FinishReason.STOP if end is not None else _REASONS.get(reason, FinishReason.UNKNOWN),
            prompt_tokens=_count(usage, "prompt_tokens"),
            completion_tokens=_count(usage, "completion_tokens"),
            cached_tokens=_count(usage.get("prompt_tokens_details") or {}, "cached_tokens"),
            seconds=outcome.seconds,
            served=" ".join(str(v) for k in ("model", "system_fingerprint") if (v := outcome.answer.get(k))) or None,
        )

    def _content(self, prompt: Prompt) -> Mapping[str, Any]:
        if self._chat:
            messages = [{"role": m.role, "content": m.content} for m in prompt.messages]
            return {"messages": messages or [{"role": "user", "content": prompt.text}]}
        if prompt.messages:
            raise ConfigError("model.endpoint=completions completes plain text: add prompt=plain or prompt=few_shot")
        return {"prompt": prompt.text}

    def _text_and_reason(self, answer: Mapping[str, Any]) -> tuple[str | None, str]:
        """Return the text and its finish_reason; Unusable where the reply has another form."""
        choices = answer.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            raise Unusable("the reply has no choice")
        reason = str(choice.get("finish_reason"))
        if not self._chat:
            return _text(choice.get("text"), reason), reason
        message = choice.get("message")
        if not isinstance(message, dict):
            raise Unusable("the choice has no message")
        content = message.get("content")
        return _text(message.get("refusal") if content is None else content, reason), reason


def _text(value: object, reason: str) -> str | None:
    """Return the text of a choice; an empty one counts as an answer where there is a known finish_reason."""
    if isinstance(value, str) and (value or reason in _REASONS):
        return value
    if not value and reason in ("content_filter", "tool_calls", "function_call"):
        return None
    if value is None and _REASONS.get(reason) is FinishReason.LENGTH:
        return ""  # all tokens went into reasoning that is not shown
    raise Unusable(f"expected a choice with text, got {value!r} (finish_reason {reason})")


def _count(usage: Mapping[str, Any], key: str) -> int | None:
    value = usage.get(key)
    return value if isinstance(value, int) else None
