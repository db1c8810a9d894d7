"""Requests to a service and their outcomes: what the code that sends them shares with the code that words them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.types import FinishReason, Prompt

BYTES_PER_TOKEN = 4
"""OpenAI's rule of thumb for English, where the tokenizer is not known."""


def prompt_tokens(prompt: Prompt) -> float:
    """Return an estimate of a prompt's tokens."""
    return (sum(len(m.content.encode()) for m in prompt.messages) + len(prompt.text.encode())) / BYTES_PER_TOKEN


@dataclass(frozen=True, slots=True)
class Policy:
    """How requests are sent: `concurrency` at once, `timeout` seconds for each, `retries` after the first try.

    Where the server names no delay, the pauses between tries are random, up to `pause` seconds, doubling to `longest`.
    """

    concurrency: int = 64
    timeout: float = 120.0
    retries: int = 8
    pause: float = 1.0
    longest: float = 30.0
    seed: int = 0
    most_bytes: int = 1 << 24
    """A longer reply is not read to its end."""


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """One request: the id of its answer, its prompt as the service's fields, and its tokens for the rate limit."""

    id: str
    content: Mapping[str, Any]
    tokens: float
    prompt: Prompt | None = None


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """What a reply says: the text as it came, why it ended, the reasoning beside it, and what it cost.

    `partial` says that a stop sequence may have ended it; `notes` are what a reader of its score should know.
    """

    text: str
    reason: FinishReason
    reasoning: str | None = None
    partial: bool = False
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    served: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """How a request ended: with an answer or with an error, and the last try's seconds where known."""

    request: ServiceRequest
    answer: ServiceAnswer | None
    error: str | None
    seconds: float | None
