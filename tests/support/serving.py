"""A server for tests: the real application in a real uvicorn on a free port, in a thread.

from tests.support.serving import served, serving  # a conftest.py that imports `served` has it as a fixture
with serving(tmp_path, {"echo": EchoModelConfig("echo", "echo")}) as server:
    server.client().models.list()
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from harness.config import EchoModelConfig, FineTuneMethod, LocalModelConfig, LoraConfig, ModelConfig
from harness.server.settings import Limits, Settings

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob

T = TypeVar("T")
QUESTION = ({"role": "user", "content": "What is a river?"},)
ECHO: Mapping[str, ModelConfig] = {"echo": EchoModelConfig("echo", "echo")}


@dataclass(frozen=True, slots=True)
class Served:
    """The address of a server, and its settings."""

    base_url: str
    """With /v1, as clients take it."""
    settings: Settings

    def client(self, key: str = "local") -> OpenAI:
        """Return the official client, unmodified and without retries."""
        from openai import OpenAI

        return OpenAI(base_url=self.base_url, api_key=key, max_retries=0, timeout=240)


def settings(folder: Path, models: Mapping[str, ModelConfig] = ECHO, **changed: Any) -> Settings:
    """Return the settings of a server for tests."""
    training = LoraConfig(method=FineTuneMethod.lora, learning_rate_multiplier=20.0)
    return Settings(**{"models": models, "training": training, "folder": folder / "server", **changed})


def tiny(path: Path) -> LocalModelConfig:
    """Return the config of the tiny model."""
    return LocalModelConfig(backend="local", name="tiny", path=str(path), device="cpu")


@contextmanager
def serving(folder: Path, models: Mapping[str, ModelConfig] = ECHO, **changed: Any) -> Iterator[Served]:
    """Serve these models with data in `folder`; `limits` and other settings can be changed."""
    import uvicorn

    from harness.server.app import application

    chosen = settings(folder, models, **changed)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application(chosen), log_level="warning", access_log=False, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        wait(lambda: server.started)
        yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", chosen)
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listener.close()


@pytest.fixture(scope="session")
def served(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of the tiny model, which can be fine-tuned, and of the echo."""
    with serving(tmp_path_factory.mktemp("served"), {"tiny": tiny(tiny_model), **ECHO}) as server:
        yield server


def ended(client: OpenAI, job_id: str) -> FineTuningJob | None:
    """Return a fine-tuning job that has ended, or None."""
    job = client.fine_tuning.jobs.retrieve(job_id)
    return job if job.status in ("succeeded", "failed", "cancelled") else None


def wait(look: Callable[[], T | None], seconds: float = 240) -> T:
    """Call `look` until it returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (value := look()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
    return value


def jsonl(rows: Sequence[Mapping[str, object]]) -> bytes:
    """Return JSON lines."""
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def conversations(n: int = 12) -> bytes:
    """Return a training file of n short conversations."""
    rows = []
    for i in range(n):
        answer = {"role": "assistant", "content": f"It is thing {i}."}
        rows.append({"messages": [{"role": "user", "content": f"What is {i}?"}, answer]})
    return jsonl(rows)


def limits(**changed: int) -> Limits:
    """Return the default limits with some of them changed."""
    return Limits(**changed)
