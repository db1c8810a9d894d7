"""Requests to a service and their outcomes: what the code that sends them shares with the code that words them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.types import Prompt

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


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """One request: the id of its answer, its prompt as the service's fields, and its tokens for the rate limit."""

    id: str
    content: Mapping[str, Any]
    tokens: float


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """How a request ended: with the service's object or with an error, and the last try's seconds where known."""

    request: ServiceRequest
    answer: dict[str, Any] | None
    error: str | None
    seconds: float | None
