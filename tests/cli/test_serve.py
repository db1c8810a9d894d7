"""`python -m harness serve`: what it refuses to start with, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from harness.__main__ import main
from harness.cli.parser import parser
from harness.cli.serve import configured, greeting
from harness.config import LocalModelConfig
from tests.support.serving import settings


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--host", "0.0.0.0"], 2, "Set the environment variable HARNESS_SERVE_API_KEY"),
        (["--model", "echo", "--model", "echo"], 2, "served as 'echo' already"),
        (["--model", "echo", "--finetune", "none"], 2, "expected one that trains"),
        (["--model", "replay"], 2, "model.path has no value"),
        (["--model", "smolm2"], 2, "Did you mean 'smollm2'?"),
        (["--model", "my model"], 2, "expected a name of letters"),
        (["--model", "echo", "--models-in-memory", "0"], 2, "expected 1 or more"),
        (["--model", "echo", "--port", "99999"], 2, "Set another --port"),
    ],
)
def test_what_cannot_be_served_is_refused_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    assert main(["serve", "--store", str(tmp_path), *arguments]) == code
    assert message in capsys.readouterr().err


def test_models_are_choices_or_paths(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_model.parent)
    options = parser().parse_args(["serve", "--model", "echo", "--model", f"./{tiny_model.name}/"])
    models = configured(options).models
    model = models[tiny_model.name]
    assert list(models) == ["echo", tiny_model.name]
    assert isinstance(model, LocalModelConfig)
    assert model.path == str(tiny_model)


def test_the_greeting_has_the_address_and_never_the_key(tmp_path: Path) -> None:
    text = greeting(settings(tmp_path, api_key="secret", host="::1", port=81))
    assert "OPENAI_BASE_URL=http://[::1]:81/v1 OPENAI_API_KEY=$HARNESS_SERVE_API_KEY" in text
    assert "secret" not in text


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped_and_no_other_takes_its_data(tmp_path: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-m", "harness", "serve", "--model", "echo", "--port", "0", "--store", str(tmp_path)]
    environment = {**os.environ, "HARNESS_SERVE_API_KEY": "very-secret"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        text = process.stderr.readline()
        address = text.split(" at ")[1].split("/v1")[0]
        with urllib.request.urlopen(f"{address}/health") as answer:
            assert answer.status == 200
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        assert second.returncode == 5
        assert "belongs to a server that is running" in second.stderr
        process.send_signal(how)
        rest = process.stderr.read()
        process.wait(timeout=20)
    assert process.returncode == (0 if how is signal.SIGINT else -signal.SIGTERM)
    assert "Traceback" not in rest
    assert "very-secret" not in text + rest
