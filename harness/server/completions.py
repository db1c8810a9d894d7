"""/v1/completions: bare text that is gone on with, one prompt or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.server.engine import Answer
from harness.server.errors import invalid
from harness.server.fields import Fields
from harness.server.generation import Form, Head, Wanted, finish, reason, text, usage
from harness.server.settings import Limits
from harness.types import Prompt

DEFAULT_TOKENS = 16
"""As at OpenAI."""
NEUTRAL: dict[str, Sequence[object]] = {"best_of": (1,), "echo": (False,), "suffix": ("",)}


def _parse(fields: Fields, limits: Limits) -> Wanted:
    given = fields.take("prompt")
    prompts = [given] if isinstance(given, str) else given
    if not isinstance(prompts, list) or not 1 <= len(prompts) <= limits.prompts:
        fields.refuse("prompt", f"a text or a list of 1 to {limits.prompts} texts", given)
    for number, prompt in enumerate(prompts):
        if not text(prompt, f"prompt[{number}]"):
            raise invalid(f"prompt[{number}]: expected a text that is not empty.", f"prompt[{number}]")
    max_tokens = fields.integer("max_tokens", 1, limits.max_tokens)
    fields.neutral({**NEUTRAL, "logprobs": ()})
    wanted = finish(fields, tuple(Prompt("", text=prompt) for prompt in prompts), max_tokens or DEFAULT_TOKENS)
    if wanted.stream and len(prompts) > 1:
        raise invalid("prompt: expected one text where stream is true.", "prompt")
    return wanted


def _whole(head: Head, answers: Sequence[Answer]) -> dict[str, Any]:
    choices = [
        {"index": i, "text": each.completion.text, "logprobs": None, "finish_reason": reason(each.completion)}
        for i, each in enumerate(answers)
    ]
    return {**head.json("text_completion", answers[0].fingerprint), "choices": choices, "usage": usage(answers)}


def _piece(head: Head, said: str | None, ended: str | None, _: bool) -> dict[str, Any]:
    choice = {"index": 0, "text": said or "", "logprobs": None, "finish_reason": ended}
    return {**head.json("text_completion", None), "choices": [choice]}


COMPLETIONS = Form("cmpl-", _parse, _whole, _piece)
