"""The shipped model on the fault server, and prompts for it."""

from __future__ import annotations

from typing import Any

from harness.config import OpenAIModelConfig
from harness.models.openai import OpenAIModel
from harness.types import Message, Prompt
from tests.support.fault_server import FaultServer


class ImpatientModel(OpenAIModel):
    """The model as it ships, with short pauses between tries."""

    pause = 0.01


def model_on(server: FaultServer, **options: Any) -> ImpatientModel:
    """Return a model on the server."""
    return model_at(server.base_url, **options)


def model_at(base_url: str, **options: Any) -> ImpatientModel:
    """Return a model at an address; its timeout is one that no loaded machine reaches."""
    config = {"base_url": base_url, "api_key_env": None, "timeout": 30.0, "retries": 12, **options}
    return ImpatientModel(OpenAIModelConfig("openai", "m", "gpt-x", **config))


def chat_prompts(n: int) -> list[Prompt]:
    """Return n chat prompts."""
    return [Prompt(f"e{i}", messages=(Message("user", f"thing {i}"),)) for i in range(n)]
