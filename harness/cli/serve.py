"""`python -m harness serve`: an OpenAI-compatible server over local models, on this machine only by default."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from harness.config import LocalModelConfig, ModelConfig, TrainingConfig, compose
from harness.errors import ConfigError, MissingExtra, StoreError, unknown
from harness.server.settings import KEY_VARIABLE, Limits, Settings, is_loopback
from harness.store.stages import store_root

if TYPE_CHECKING:
    from starlette.applications import Starlette

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
GRACE_SECONDS = 5
"""How long a stopping server waits for unfinished answers."""


def main(options: argparse.Namespace) -> int:
    """Serve until interrupted; return the exit code."""
    settings = configured(options)
    settings.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(settings.folder / ".lock", timeout=0):
            _serve(settings)
    except Timeout as error:
        message = f"{settings.folder} belongs to a server that is running. Stop it, or set another --store."
        raise StoreError(message) from error
    return 0


def configured(options: argparse.Namespace) -> Settings:
    """Return the settings for a command line; ConfigError says which argument is wrong."""
    key = os.environ.get(KEY_VARIABLE, "")
    if not key and not is_loopback(options.host):
        raise ConfigError(
            f"--host {options.host}: others can reach this address, so a key is needed. Set the environment "
            f"variable {KEY_VARIABLE}, or leave --host out to serve only this machine."
        )
    if options.models_in_memory < 1:
        raise ConfigError(f"--models-in-memory: expected 1 or more, got {options.models_in_memory}")
    store = store_root(options.store)
    return Settings(
        models=served(options.model or ["smollm2"], options.config_dir),
        training=_training(options.finetune, options.config_dir),
        folder=(store / "server").resolve(),
        host=options.host,
        port=options.port,
        api_key=key,
        limits=replace(Limits(), models_in_memory=options.models_in_memory),
    )


def served(arguments: Sequence[str], config_dir: str | None = None) -> Mapping[str, ModelConfig]:
    """Return the models for choices of conf/model/ and paths, by the names that they are served under."""
    models: dict[str, ModelConfig] = {}
    for argument in arguments:
        name = argument.rstrip("/").rsplit("/", 1)[-1].removesuffix(".gguf")
        if not NAME.fullmatch(name):
            raise ConfigError(f"--model {argument}: expected a name of letters, digits, '-', '_' and '.', got {name!r}")
        if name in models:
            raise ConfigError(f"--model {argument}: another model is served as {name!r} already")
        config = _model(argument, config_dir)
        if isinstance(config, LocalModelConfig) and Path(config.path).exists():
            config = replace(config, path=str(Path(config.path).resolve()))  # a job may continue from another folder
        models[name] = config
    return models


def _model(argument: str, config_dir: str | None) -> ModelConfig:
    choices = compose.choices("model", [config_dir] if config_dir else [])
    if argument in choices:
        return compose.run_config([*compose.search_path(config_dir), f"model={argument}"]).model
    if not re.search(r"[/:]", argument) and not Path(argument).exists():
        raise ConfigError(
            f"--model: {unknown('model', argument, choices)} Or a folder, a .gguf file, or a hub id org/name."
        )
    quoted = argument.replace("\\", "\\\\").replace("'", "\\'")
    return compose.run_config(["model=local", f"model.path='{quoted}'"]).model


def _training(choice: str, config_dir: str | None) -> TrainingConfig:
    config = compose.run_config([*compose.search_path(config_dir), f"finetune={choice}"]).finetune
    if not isinstance(config, TrainingConfig):
        raise ConfigError(f"--finetune {choice}: expected one that trains locally, such as lora or full")
    return config


def _serve(settings: Settings) -> None:
    try:
        import python_multipart  # noqa: F401
        import uvicorn

        from harness.server.app import application
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "pip install 'finetune-harness[serve]'") from error
    app: Starlette = application(settings)
    with _listening(settings) as listener:
        print(greeting(replace(settings, port=listener.getsockname()[1])), file=sys.stderr, flush=True)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
        if not app.state.server.engine.stop(0):
            os._exit(0)  # a batch in the model cannot be interrupted, and a normal exit would crash under it


def _listening(settings: Settings) -> socket.socket:
    """Return the socket that clients connect to; port 0 takes any free one."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--host {settings.host} --port {settings.port}: cannot listen there ({error}). Set another --port."
        ) from error


def greeting(settings: Settings) -> str:
    """Return the address of the server, and how to set up a client."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{settings.port}"
    key = f"${KEY_VARIABLE}" if settings.api_key else "local"
    return (
        f"serving {', '.join(settings.models)} at {address}/v1, data in {settings.folder}\n"
        f"  export OPENAI_BASE_URL={address}/v1 OPENAI_API_KEY={key}\n"
        "Ctrl-C stops it; unfinished jobs and batches continue at the next start."
    )
