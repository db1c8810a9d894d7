"""Secrets are found by the name that they stand under, by their value, and in the texts that quote them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import pipeline
from harness.credentials import REDACTED, from_environment, redacted
from tests.support.fakes import config


@pytest.mark.parametrize(
    "name", ["api_key", "apiKey", "OPENAI_API_KEY", "hf_token", "token", "password", "db.password", "client-secret"]
)
def test_a_text_under_the_name_of_a_secret_is_redacted(name: str) -> None:
    assert redacted({"options": [{name: "s3cret"}]}) == {"options": [{name: REDACTED}]}


@pytest.mark.parametrize(
    "name", ["max_tokens", "prompt_tokens", "key", "tokenizer", "pad_token", "primary_metric", "monkey", "author"]
)
def test_other_names_keep_their_text(name: str) -> None:
    assert redacted({name: "kept", "n": 3, "none": None}) == {name: "kept", "n": 3, "none": None}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("run seed=1 +metrics.options.x.api_key=abc n=3", f"run seed=1 +metrics.options.x.api_key={REDACTED} n=3"),
        ("run +model.extra={api-key: abc, n: 3}", f"run +model.extra={{api-key: {REDACTED}, n: 3}}"),
        ("{n: 3,password: 'a b', x: env:MY_VAR}", f"{{n: 3,password: {REDACTED}, x: env:MY_VAR}}"),
        ("say {token: env:MY_TOKEN}", "say {token: env:MY_TOKEN}"),
        ("https://me:pass@host/v1", f"https://{REDACTED}@host/v1"),
        ("https://host/v1?token=abc&n=1", f"https://host/v1?token={REDACTED}&n=1"),
        ("the value is longsecretvalue.", f"the value is {REDACTED}."),
        ("a mail to me@host", "a mail to me@host"),
    ],
)
def test_a_secret_inside_a_text_is_redacted(text: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "longsecretvalue")
    assert redacted([text]) == [shown]


def test_the_name_of_a_variable_is_no_secret() -> None:
    config = {"headers": {"api-key": "env:AZURE_KEY"}, "command": "run model.headers.api-key=env:AZURE_KEY"}
    assert redacted(config) == config


def test_what_was_read_for_a_service_is_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TENANT", "tenant-4711-x")
    assert from_environment("A_TENANT") == "tenant-4711-x"
    assert redacted("of tenant-4711-x") == f"of {REDACTED}"


def test_a_run_keeps_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "longsecretvalue")
    settings = config(tmp_path)
    settings.prompt.system = "The key is longsecretvalue."
    run = pipeline.run(settings, "run +metrics.options.x.api_key=longsecretvalue")
    assert REDACTED in run.result.command
    assert "longsecretvalue" not in (run.folder / "results.json").read_text(encoding="utf-8")


def test_short_values_of_the_environment_are_not_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "1")
    assert redacted("1 of 12") == "1 of 12"
