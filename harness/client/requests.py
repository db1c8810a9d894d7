"""Requests to a service and how they end: what those who send them and those who word them have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from harness.types import Prompt

BYTES_PER_TOKEN = 4
"""OpenAI's rule of thumb for English, where the tokenizer is not known."""


def prompt_tokens(prompt: Prompt) -> float:
    """Return about how many tokens a prompt has."""
    return (sum(len(m.content.encode()) for m in prompt.messages) + len(prompt.text.encode())) / BYTES_PER_TOKEN


@dataclass(frozen=True, slots=True)
class Policy:
    """How hard is tried: `concurrency` requests at once, `timeout` seconds for each, `retries` after the first try.

    Without word from the server the pauses between tries are random, up to `pause` seconds and doubling to `longest`.
    """

    concurrency: int = 64
    timeout: float = 120.0
    retries: int = 8
    pause: float = 1.0
    longest: float = 30.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """One request: the id of its answer, what is asked, and about how many tokens a rate limit counts it for."""

    id: str
    content: Mapping[str, Any]
    tokens: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended: the server's object, or why there is none, and the last try's seconds where known."""

    job: Job
    answer: dict[str, Any] | None
    error: str | None
    seconds: float | None


class Dialect(Protocol):
    """How a service is talked to."""

    def body(self, job: Job) -> bytes:
        """Return what is posted."""
        ...

    def check(self, answer: dict[str, Any]) -> None:
        """Raise Unusable or Refused for a reply with status 200 that is no answer."""
        ...

    def adapt(self, parameter: str) -> bool:
        """Do without a setting that the service refused, from now on; False where it decides the text."""
        ...
