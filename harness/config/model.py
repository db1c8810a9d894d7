"""The schema of the group `model`: what generates the completions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import Any

from omegaconf import MISSING

from harness.config.fields import check, display, nothing, text
from harness.credentials import looks_secret, referenced


@dataclass
class ModelConfig:
    """A model that completes prompts."""

    backend: str = text(MISSING)
    """local, openai, echo, replay, the name of an installed plug-in, or your own "module:Class"."""
    name: str = display(MISSING, label=True)
    """Its name on the leaderboard."""
    _: KW_ONLY
    options: dict[str, Any] = text(factory=dict)
    """Further arguments of your own class, passed on as they are: +model.options.KEY=VALUE."""


@dataclass
class LocalModelConfig(ModelConfig):
    """Weights on this machine or on the hub, run with transformers."""

    path: str = text(MISSING)
    """A folder, a .gguf file, a hub id, or `package:NAME/path` inside an installed package."""
    revision: str | None = text(None)
    """Revision on the hub; null takes the newest one and records it."""
    layers: list[int] | None = text(None)
    """Keep only these transformer layers, counted from 0, for a smaller base model; null keeps all."""
    adapter: str | None = text(None)
    """A folder with a PEFT adapter."""
    template_options: dict[str, Any] = text(factory=dict)
    """Variables of the chat template, in training too: +model.template_options.enable_thinking=false."""
    dtype: str = text("float32")
    """float32, bfloat16 or float16; auto takes bfloat16 on a GPU and float32 elsewhere."""
    device: str = nothing("auto")
    """auto, cpu, cuda or cuda:N."""
    batch_size: int = nothing(64)
    """Largest number of prompts generated at once; does not change the text in float32."""


@dataclass
class EchoModelConfig(ModelConfig):
    """The shipped fake: deterministic completions derived from the prompt, for tests and dry runs."""

    seconds: float = nothing(0.0)
    """Seconds that each completion takes."""
    error_rate: float = text(0.0)
    """Share of prompts that fail, chosen by hash."""


@dataclass
class ReplayModelConfig(ModelConfig):
    """Completions that were made elsewhere."""

    path: str | None = text(None)
    """A file of {prompt or id, completion}, of a kind that task=jsonl reads; null takes the answers in the task's."""
    prompt_key: str = text("prompt")
    """Key of the prompt in each row."""
    completion_key: str | None = text(None)
    """Key of the model's answer in each row; null takes `prediction`, or `completion` in a file of completions."""
    reference_key: str | None = text(None)
    """Key of the reference completion in the task's own file, which is no answer; by default task.completion_key."""
    task_path: str | None = text(None)
    """The task's own file, by default task.path."""
    sep: str | None = text(None)
    """Separator of the cells of a text table, as task.sep."""
    quote: str = text('"')
    """Quotation mark around cells of a text table, as task.quote."""


class EndpointKind(StrEnum):
    """The endpoint of an OpenAI-compatible service."""

    chat = "chat"
    """POST /chat/completions; a plain prompt becomes one user message."""
    completions = "completions"
    """POST /completions: text that the model continues; takes plain prompts only."""


@dataclass
class OpenAIModelConfig(ModelConfig):
    """A model of an OpenAI-compatible service, fine-tunes (`ft:...`) included."""

    id: str = text(MISSING)
    """The model's id at the service."""
    base_url: str = text("https://api.openai.com/v1")
    """Base URL of the service. The key is sent to it and nowhere else."""
    api_key_env: str | None = nothing("OPENAI_API_KEY")
    """Name of the environment variable that holds the key; null for a server without keys."""
    endpoint: EndpointKind = text(EndpointKind.chat)
    """chat (POST /chat/completions) or completions (POST /completions)."""
    concurrency: int = nothing(64)
    """Highest number of concurrent requests; lowered while the service limits the rate."""
    timeout: float = nothing(120.0)
    """Seconds for one attempt, its response included."""
    retries: int = nothing(8)
    """Retries of a request after a temporary failure, before it counts as an error."""
    headers: dict[str, str] = text(factory=dict)
    """Further headers of each request; a secret is written as env:NAME, read from the environment and never stored."""
    query: dict[str, str] = text(factory=dict)
    """Further query parameters of each request, such as {api-version: 2024-10-21}; secrets as in `headers`."""
    extra: dict[str, Any] = text(factory=dict)
    """Further fields of each request, such as {reasoning_effort: low}; null removes one, such as {seed: null}."""

    def __post_init__(self) -> None:
        check(self.concurrency >= 1, "model.concurrency", "1 or more", self.concurrency)
        check(self.timeout > 0, "model.timeout", "more than 0 seconds", self.timeout)
        check(self.retries >= 0, "model.retries", "0 or more", self.retries)
        _check_names_and_values("model.headers", self.headers)
        _check_names_and_values("model.query", self.query)
        for name in self.headers:
            check(name.lower() not in _OWN_HEADERS, f"model.headers.{name}", "a header that is not set already", name)
        for name, expected in _OWN_FIELDS.items():
            check(not self.extra.get(name), f"model.extra.{name}", expected, self.extra.get(name))
        check(self.extra.get("n") in (None, 1), "model.extra.n", "1, or generation.n=N", self.extra.get("n"))


def is_sampled(model: ModelConfig, temperature: float) -> bool:
    """Return whether completions are drawn at random, which a field of `model.extra` may decide; else greedily."""
    extra = model.extra if isinstance(model, OpenAIModelConfig) else {}
    chosen = extra.get("temperature", temperature)
    return not isinstance(chosen, int | float) or chosen > 0


_OWN_HEADERS = ("content-type", "content-length", "transfer-encoding", "host", "connection")
_OWN_FIELDS = {
    "stream": "no stream, because whole answers are read",
    "messages": "no messages, because they are the prompt: set prompt.system, for example",
    "prompt": "no prompt, because it comes from the task",
}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _check_names_and_values(setting: str, values: Mapping[str, str]) -> None:
    """Raise a ConfigError for a name that cannot be sent, and for a secret, which would be in every record."""
    for name, value in values.items():
        key = f"{setting}.{name}"
        check(bool(_HEADER_NAME.fullmatch(name)), setting, "names of letters, digits and hyphens", repr(name))
        check(str(value).isprintable(), key, "text on one line", "control characters")
        if not referenced(value):
            expected = "env:NAME, the environment variable that holds it, for what looks like a secret"
            check(not value.startswith("env:"), key, "env:NAME", value)
            check(not looks_secret(name, value), key, expected, "the value itself")
