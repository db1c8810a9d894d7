"""What the server does not support it refuses by name, in OpenAI's shape; nothing is ignored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from harness.config import EchoModelConfig
from harness.server.app import application
from tests.support.serving import ECHO, QUESTION, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
JOBS, BATCHES = "/v1/fine_tuning/jobs", "/v1/batches"
CHAT_BODY: dict[str, Any] = {"model": "echo", "messages": list(QUESTION)}
TEXT: dict[str, Any] = {"model": "echo", "prompt": "A"}
BATCH_BODY = {"endpoint": CHAT, "input_file_id": "file-1", "completion_window": "24h"}
USER = {"role": "user", "content": "A"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    models = {**ECHO, "failing": EchoModelConfig("echo", "failing", error_rate=1.0)}
    app = application(settings(tmp_path_factory.mktemp("refusals"), models))
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "body", "status", "param", "code"),
    [
        (CHAT, CHAT_BODY | {"model": None}, 400, "model", "missing_required_parameter"),
        (CHAT, CHAT_BODY | {"model": "gpt-4o"}, 404, "model", "model_not_found"),
        (CHAT, CHAT_BODY | {"messages": []}, 400, "messages", "invalid_value"),
        (CHAT, CHAT_BODY | {"messages": "Hello"}, 400, "messages", "invalid_value"),
        (
            CHAT,
            CHAT_BODY | {"messages": [{"role": "tool", "content": "A"}]},
            400,
            "messages[0].role",
            "invalid_value",
        ),
        (CHAT, CHAT_BODY | {"messages": [{**USER, "name": "me"}]}, 400, "messages[0].name", "unknown_parameter"),
        (CHAT, CHAT_BODY | {"messages": [{"role": "user"}]}, 400, "messages[0].content", "invalid_value"),
        (
            CHAT,
            CHAT_BODY | {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            400,
            "messages[0].content[0].type",
            "invalid_value",
        ),
        (
            CHAT,
            CHAT_BODY | {"messages": [{"role": "user", "content": "\ud800"}]},
            400,
            "messages[0].content",
            "invalid_value",
        ),
        (CHAT, CHAT_BODY | {"n": 2}, 400, "n", "unsupported_parameter"),
        (CHAT, CHAT_BODY | {"n": True}, 400, "n", "unsupported_parameter"),
        (CHAT, CHAT_BODY | {"logprobs": True}, 400, "logprobs", "unsupported_parameter"),
        (CHAT, CHAT_BODY | {"tools": [{"type": "function"}]}, 400, "tools", "unsupported_parameter"),
        (
            CHAT,
            CHAT_BODY | {"response_format": {"type": "json_object"}},
            400,
            "response_format",
            "unsupported_parameter",
        ),
        (CHAT, CHAT_BODY | {"presence_penalty": 0.5}, 400, "presence_penalty", "unsupported_parameter"),
        (CHAT, CHAT_BODY | {"repetition_penalty": 1.1}, 400, "repetition_penalty", "unsupported_parameter"),
        (CHAT, CHAT_BODY | {"temprature": 0}, 400, "temprature", "unknown_parameter"),
        (CHAT, CHAT_BODY | {"temperature": 2.5}, 400, "temperature", "invalid_value"),
        (CHAT, CHAT_BODY | {"temperature": "hot"}, 400, "temperature", "invalid_value"),
        (CHAT, CHAT_BODY | {"top_p": 0}, 400, "top_p", "invalid_value"),
        (CHAT, CHAT_BODY | {"max_tokens": 0}, 400, "max_tokens", "invalid_value"),
        (CHAT, CHAT_BODY | {"max_tokens": 10**6}, 400, "max_tokens", "invalid_value"),
        (CHAT, CHAT_BODY | {"max_tokens": 4, "max_completion_tokens": 5}, 400, "max_tokens", None),
        (CHAT, CHAT_BODY | {"seed": 1.5}, 400, "seed", "invalid_value"),
        (CHAT, CHAT_BODY | {"stop": ["a", "b", "c", "d", "e"]}, 400, "stop", "invalid_value"),
        (CHAT, CHAT_BODY | {"stop": ""}, 400, "stop[0]", "invalid_value"),
        (CHAT, CHAT_BODY | {"stream": "yes"}, 400, "stream", "invalid_value"),
        (CHAT, CHAT_BODY | {"stream_options": {"usage": True}}, 400, "stream_options.usage", "unknown_parameter"),
        (CHAT, CHAT_BODY | {"model": "failing"}, 500, None, None),
        (CHAT, ["A"], 400, None, None),
        (CHAT, CHAT_BODY | {"\ud800": 1}, 400, None, None),
        (CHAT, CHAT_BODY | {"stop": ["a", None]}, 400, "stop[1]", "invalid_value"),
        (
            CHAT,
            CHAT_BODY | {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            400,
            "messages[0].content[0].text",
            "missing_required_parameter",
        ),
        (CHAT, CHAT_BODY | {"temperature": 10**400}, 400, "temperature", "invalid_value"),
        (COMPLETIONS, TEXT | {"prompt": None}, 400, "prompt", "missing_required_parameter"),
        (COMPLETIONS, TEXT | {"prompt": [1, 2]}, 400, "prompt[0]", "invalid_value"),
        (COMPLETIONS, TEXT | {"prompt": ["A"] * 200}, 400, "prompt", "invalid_value"),
        (COMPLETIONS, TEXT | {"best_of": 2}, 400, "best_of", "unsupported_parameter"),
        (COMPLETIONS, TEXT | {"logprobs": 0}, 400, "logprobs", "unsupported_parameter"),
        (COMPLETIONS, TEXT | {"prompt": ["A", "B"], "stream": True}, 400, "prompt", None),
        (EMBEDDINGS, {"model": "echo", "input": "A"}, 404, "model", "model_not_found"),
        (EMBEDDINGS, {"model": "all-MiniLM-L6-v2", "input": []}, 400, "input", "invalid_value"),
        (JOBS, {"model": "echo", "training_file": "file-1"}, 400, "model", "model_not_available"),
        (JOBS, {"model": "nothing", "training_file": "file-1"}, 404, "model", "model_not_found"),
        (BATCHES, {"endpoint": "/v1/responses"}, 400, "endpoint", "invalid_value"),
        (BATCHES, BATCH_BODY | {"completion_window": "1h"}, 400, "completion_window", "invalid_value"),
        (BATCHES, BATCH_BODY | {"output_expires_after": {}}, 400, "output_expires_after", "unsupported_parameter"),
        (BATCHES, BATCH_BODY | {"metadata": {"a" * 65: ""}}, 400, f"metadata.{'a' * 65}", "invalid_value"),
        ("/v1/responses", {"model": "echo"}, 404, None, "unknown_url"),
        ("/v1/models", {}, 405, None, "method_not_allowed"),
    ],
)
def test_a_refusal_names_what_is_wrong(
    web: TestClient, path: str, body: Any, status: int, param: str | None, code: str | None
) -> None:
    answer = web.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (status, param, code), error
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert error["type"] == ("server_error" if status == 500 else "invalid_request_error")


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"a": NaN}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
    ],
)
def test_a_body_that_is_not_json_is_refused(web: TestClient, content: bytes, kind: str, status: int) -> None:
    answer = web.post(CHAT, content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"training_file": "file-" + "0" * 24}, "training_file"),
        ({"training_file": "../../etc/passwd"}, "training_file"),
        ({"validation_file": "file-" + "0" * 24}, "validation_file"),
        ({"suffix": "../x"}, "suffix"),
        ({"suffix": "a" * 65}, "suffix"),
        ({"seed": -1}, "seed"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {str(i): "" for i in range(17)}}, "metadata"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]}, "integrations"),
        ({"method": {"type": "dpo"}}, "method.type"),
        ({"method": {"type": "supervised"}, "hyperparameters": {}}, "hyperparameters"),
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"batch_size": "large"}}, "hyperparameters.batch_size"),
        ({"hyperparameters": {"learning_rate_multiplier": 0}}, "hyperparameters.learning_rate_multiplier"),
        ({"hyperparameters": {"beta": 1}}, "hyperparameters.beta"),
        ({"method": {"type": "supervised", "supervised": {"x": 1}}}, "method.supervised.x"),
        ({"temperature": 0}, "temperature"),
    ],
)
def test_a_job_with_something_that_would_be_ignored_is_refused(
    tmp_path: Path, changed: dict[str, Any], param: str
) -> None:
    from tests.support.serving import conversations, tiny

    app = application(settings(tmp_path, {"tiny": tiny(tmp_path)}))
    web = TestClient(app, base_url="http://localhost")
    form = {"file": ("a.jsonl", conversations())}
    file = web.post("/v1/files", data={"purpose": "fine-tune"}, files=form).json()["id"]
    answer = web.post(JOBS, json={"model": "tiny", "training_file": file, **changed})
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["param"] == param
    assert web.get(JOBS).json()["data"] == []


def test_an_internal_error_discloses_nothing(
    web: TestClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret path")

    monkeypatch.setattr("harness.server.models.Catalog.objects", broken)
    answer = web.get("/v1/models")
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"
    assert "secret" not in answer.text


def test_a_null_is_a_key_that_is_absent(web: TestClient) -> None:
    body = CHAT_BODY | {"temperature": None, "tools": None, "stream_options": None, "unknown": None}
    assert web.post(CHAT, json=body).status_code == 200
