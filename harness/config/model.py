"""What answers: the schema of the group `model`."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class ModelConfig:
    """A model that completes prompts."""

    backend: str = MISSING
    """local, echo, replay, or your own "module:Class"."""
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
