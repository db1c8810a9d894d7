"""Addresses and keys: the key comes from the environment and shows nowhere."""

from __future__ import annotations

import pytest

from harness.client.endpoint import Endpoint
from harness.errors import ConfigError, ModelError


def test_the_key_is_in_the_headers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret123456\n")
    endpoint = Endpoint.of("https://host/v1/", "SOME_KEY")
    assert endpoint.base_url == "https://host/v1"
    assert endpoint.headers()["Authorization"] == "Bearer sk-secret123456"
    assert "secret" not in repr(endpoint)


def test_without_a_key_none_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret123456")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    assert set(Endpoint.of("http://127.0.0.1:1/v1", None).headers()) == {"Content-Type", "Accept"}


def test_a_missing_key_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(ModelError, match="SOME_KEY is not set"):
        Endpoint.of("https://host/v1", "SOME_KEY")


@pytest.mark.parametrize(
    "url",
    ["host/v1", "ftp://host/v1", "https://me:secret@host/v1", "https://host/v1?key=secret", "https://", "http://[x"],
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.base_url") as caught:
        Endpoint.of(url, None)
    assert "secret" not in str(caught.value)
