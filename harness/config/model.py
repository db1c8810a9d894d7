"""The schema of the group `model`: what generates the completions."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import Any

from omegaconf import MISSING

from harness.config.fields import check, display, nothing, text


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
    """Variables of the chat template, such as {enable_thinking: false}, in training too."""
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

    path: str = text(MISSING)
    """JSON lines {prompt or id, completion}; an optional finish_reason is kept."""


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
    extra: dict[str, Any] = text(factory=dict)
    """Further fields of each request, such as {reasoning_effort: low}; null removes one, such as {seed: null}."""

    def __post_init__(self) -> None:
        check(self.concurrency >= 1, "model.concurrency", "1 or more", self.concurrency)
        check(self.timeout > 0, "model.timeout", "more than 0 seconds", self.timeout)
        check(self.retries >= 0, "model.retries", "0 or more", self.retries)
