"""What answers: the schema of the group `model`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omegaconf import MISSING

from harness.config.checks import check


@dataclass
class ModelConfig:
    """A model that completes prompts."""

    backend: str = MISSING
    """local, openai, echo, replay, or your own "module:Class"."""
    name: str = MISSING
    """What it is called on the leaderboard."""


@dataclass
class LocalModelConfig(ModelConfig):
    """Weights on this machine, or on the hub, run by transformers."""

    path: str = MISSING
    """A folder, a .gguf file, a hub id, or `package:NAME/path` inside an installed package."""
    revision: str | None = None
    """The hub revision; null takes the newest and records which one that was."""
    layers: list[int] | None = None
    """Keep only these of the transformer layers, counted from 0: a smaller base model; null keeps them all."""
    adapter: str | None = None
    """A folder with a PEFT adapter to put on top."""
    dtype: str = "float32"
    """float32, bfloat16 or float16; auto takes bfloat16 on a GPU and float32 elsewhere."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    batch_size: int = 64
    """The most prompts generated at once; does not change the text in float32."""


@dataclass
class EchoModelConfig(ModelConfig):
    """The shipped fake: deterministic completions made from the prompt, for tests and dry runs."""

    seconds: float = 0.0
    """How long each completion takes."""
    error_rate: float = 0.0
    """The share of prompts that fail, chosen by hash."""


@dataclass
class ReplayModelConfig(ModelConfig):
    """Completions that somebody already has."""

    path: str = MISSING
    """JSON lines {prompt or id, completion}; an optional finish_reason is kept."""


class EndpointKind(StrEnum):
    """What an OpenAI-compatible service is asked for."""

    chat = "chat"
    """POST /chat/completions; a plain prompt becomes one user message."""
    completions = "completions"
    """POST /completions: bare text that the model goes on with; takes plain prompts only."""


@dataclass
class OpenAIModelConfig(ModelConfig):
    """A model behind an OpenAI-compatible service, reused as it is: fine-tunes (`ft:...`) too."""

    id: str = MISSING
    """What the service calls the model."""
    base_url: str = "https://api.openai.com/v1"
    """Where the service is. The key is sent there and nowhere else."""
    api_key_env: str | None = "OPENAI_API_KEY"
    """The name of the environment variable that holds the key; null for a server that needs none."""
    endpoint: EndpointKind = EndpointKind.chat
    concurrency: int = 64
    """The most requests at once; fewer are sent while the service pushes back."""
    timeout: float = 120.0
    """The most seconds for one try, its answer included."""
    retries: int = 8
    """How often a request that failed for the moment is tried again before it counts as an error."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further fields of each request, such as {reasoning_effort: low}; null takes one away, such as {seed: null}."""

    def __post_init__(self) -> None:
        check(self.concurrency >= 1, "model.concurrency", "1 or more", self.concurrency)
        check(self.timeout > 0, "model.timeout", "more than 0 seconds", self.timeout)
        check(self.retries >= 0, "model.retries", "0 or more", self.retries)
