"""Addresses, keys, headers and query parameters: secrets come from the environment and show nowhere."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from harness.client.endpoint import Endpoint
from harness.config import OpenAIModelConfig
from harness.credentials import redacted
from harness.errors import ConfigError, ModelError
from harness.models.openai import OpenAIModel


def config(base_url: str = "https://host/v1", api_key_env: str | None = None, **options: Any) -> OpenAIModelConfig:
    return OpenAIModelConfig("openai", "m", "gpt-x", base_url, api_key_env, **options)


def test_the_key_is_in_the_headers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret123456\n")
    endpoint = Endpoint.of(config("https://host/v1/", "SOME_KEY"))
    assert endpoint.base_url == "https://host/v1"
    assert endpoint.headers()["Authorization"] == "Bearer sk-secret123456"
    assert "secret" not in repr(endpoint)


def test_without_a_key_none_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret123456")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    assert set(Endpoint.of(config()).headers()) == {"Content-Type", "Accept"}


def test_a_missing_key_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(ModelError, match="SOME_KEY is not set"):
        Endpoint.of(config(api_key_env="SOME_KEY"))


@pytest.mark.parametrize(
    "url",
    ["host/v1", "ftp://host/v1", "https://me:secret@host/v1", "https://host/v1?key=secret", "https://", "http://[x"],
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.base_url") as caught:
        Endpoint.of(config(url))
    assert "secret" not in str(caught.value)


def test_headers_and_query_parameters_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANT_VALUE", "very/secret value")
    monkeypatch.setenv("SUBSCRIPTION", "other-secret-99")
    monkeypatch.setenv("SOME_KEY", "third-secret-77")
    headers = {"api-key": "env:SUBSCRIPTION", "authorization": "env:TENANT_VALUE", "X-Title": "a test"}
    model = config(
        api_key_env="SOME_KEY", headers=headers, query={"api-version": "2024-10-21", "sig": "env:TENANT_VALUE"}
    )
    endpoint = Endpoint.of(model)
    sent = endpoint.headers()
    assert sent["api-key"] == "other-secret-99"
    assert sent["authorization"] == "very/secret value"
    assert "Authorization" not in sent  # replaced
    assert endpoint.query == {"api-version": "2024-10-21", "sig": "very/secret value"}
    shown = endpoint.redacted("a very/secret value, very%2Fsecret%20value, very%2Fsecret+value, third-secret-77")
    assert "secret" not in shown + repr(endpoint)
    assert "secret" not in redacted("it said other-secret-99 to very/secret value")


class _Listener(BaseHTTPRequestHandler):
    """Answers every GET with an empty list, and keeps what it was sent."""

    seen: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        body = b'{"object": "list", "data": []}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_the_official_client_sends_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBSCRIPTION", "other-secret-99")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base_url = f"http://127.0.0.1:{server.server_port}/openai"
    options: dict[str, Any] = {"headers": {"api-key": "env:SUBSCRIPTION"}, "query": {"api-version": "2024-10-21"}}
    client = Endpoint.of(config(base_url, **options)).client()
    client.batches.list()
    client.fine_tuning.jobs.list()
    OpenAIModel(config(base_url, **options)).shutdown_date()
    server.shutdown()
    assert [path for path, _ in _Listener.seen] == [
        f"/openai{path}?api-version=2024-10-21" for path in ("/batches", "/fine_tuning/jobs", "/models/gpt-x")
    ]
    for _, headers in _Listener.seen:
        assert headers["api-key"] == "other-secret-99"
        assert "authorization" not in headers


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"api-key": "abcdef"}},
        {"headers": {"Authorization": "Bearer abcdef"}},
        {"headers": {"Ocp-Apim-Subscription-Key": "abcdef"}},
        {"headers": {"Cookie": "a=abcdef"}},
        {"headers": {"x-any": "sk-abcdef0123"}},
        {"headers": {"x-any": "AIzaabcdef"}},
        {"headers": {"x-any": "0123456789abcdef0123456789abcdef"}},
        {"query": {"key": "abcdef"}},
        {"query": {"access_token": "abcdef"}},
        {"query": {"sig": "abcdef"}},
    ],
)
def test_a_secret_in_the_config_is_refused_without_being_shown(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected env:NAME") as caught:
        config(**options)
    assert "abcdef" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"anthropic-beta": "output-128k-2025-02-19"}},
        {"headers": {"HTTP-Referer": "https://example.org/a-page-about-evaluation", "X-Title": "My evaluation"}},
        {"headers": {"OpenAI-Project": "proj_abc", "X-Deployment": "gpt-4o-mini-2024-07-18"}},
        {"query": {"api-version": "2024-10-21-preview"}},
        {"headers": {"api-key": "env:AZURE_KEY"}},
    ],
)
def test_what_is_no_secret_is_taken(options: dict[str, Any]) -> None:
    assert config(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"headers": {"a b": "x"}}, "model.headers: expected names"),
        ({"headers": {"x-a": "1\r\nx-b: 2"}}, "model.headers.x-a: expected text on one line"),
        ({"headers": {"Content-Type": "x"}}, "a header that is not set already"),
        ({"headers": {"x-a": "env:NO SUCH"}}, "model.headers.x-a: expected env:NAME"),
        ({"extra": {"stream": True}}, "model.extra.stream"),
        ({"extra": {"n": 3}}, "generation.n"),
        ({"extra": {"messages": [1]}}, "model.extra.messages"),
    ],
)
def test_what_cannot_be_sent_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**options)


def test_a_variable_that_is_not_set_is_named_with_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUBSCRIPTION", raising=False)
    with pytest.raises(ModelError, match=r"model\.headers\.api-key: the environment variable SUBSCRIPTION is not set"):
        Endpoint.of(config(headers={"api-key": "env:SUBSCRIPTION"}))


def test_open_values_decide_the_text_and_secrets_do_not() -> None:
    plain = OpenAIModel(config()).identity
    assert OpenAIModel(config(headers={"api-key": "env:A"})).identity == plain
    assert OpenAIModel(config(headers={"x-route": "b"})).identity != plain
    assert (
        OpenAIModel(config(query={"api-version": "1"})).identity
        != OpenAIModel(config(query={"api-version": "2"})).identity
    )
