"""The shipped model on the fault server, and prompts for it."""

from __future__ import annotations

from typing import Any

from harness.config import OpenAIModelConfig
from harness.models.openai import OpenAIModel
from harness.types import Message, Prompt
from tests.support.fault_server import FaultServer


class Hasty(OpenAIModel):
    """The model as it ships, with short pauses between tries."""

    pause = 0.01


def hasty(server: FaultServer, **options: Any) -> Hasty:
    """Return a model on the server."""
    return hasty_at(server.base_url, **options)


def hasty_at(base_url: str, **options: Any) -> Hasty:
    """Return a model at an address; its timeout is one that no loaded machine reaches."""
    config = {"base_url": base_url, "api_key_env": None, "timeout": 30.0, "retries": 12, **options}
    return Hasty(OpenAIModelConfig("openai", "m", "gpt-x", **config))


def asked(n: int) -> list[Prompt]:
    """Return n chat prompts."""
    return [Prompt(f"e{i}", messages=(Message("user", f"thing {i}"),)) for i in range(n)]
