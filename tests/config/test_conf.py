"""Every shipped config composes and resolves; every misspelling is refused with the nearest valid name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from harness.config import HarnessConfig, JsonlTaskConfig, WikiTaskConfig
from harness.config.compose import conf_dir, register, resolve
from harness.errors import ConfigError
from harness.types import StopAt

NEEDED = {
    "task=jsonl": ["task.path=data.jsonl"],
    "task=hub": ["task.path=org/data"],
    "task=custom": ["task.dataset=my_package:MyDataset"],
    "model=custom": ["model.backend=my_package:MyModel"],
    "model=local": ["model.path=org/name"],
    "model=replay": ["model.path=completions.jsonl"],
    "model=openai": ["model.id=ft:gpt-4o-mini-2024-07-18:org::abc123"],
}
"""What a choice needs beside itself, because only the user can know it."""


@pytest.fixture(autouse=True)
def hydra() -> Iterator[None]:
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield


def composed(*overrides: str) -> DictConfig:
    return compose("config", overrides=list(overrides))


def choices() -> list[str]:
    folder = conf_dir()
    return sorted(f"{path.parent.name}={path.stem}" for path in folder.glob("*/*.yaml") if path.parent.name != "sweep")


@pytest.mark.parametrize("choice", choices())
def test_every_choice_resolves(choice: str) -> None:
    assert isinstance(resolve(composed(choice, *NEEDED.get(choice, []))), HarnessConfig)


@pytest.mark.parametrize("path", sorted(conf_dir().glob("sweep/*.yaml")), ids=lambda p: p.stem)
def test_every_sweep_composes(path: Path) -> None:
    assert "sweeper" in compose("config", overrides=[f"+sweep={path.stem}"], return_hydra_config=True).hydra


def test_the_default_is_the_main_job() -> None:
    config = resolve(composed())
    assert isinstance(config.task, WikiTaskConfig)
    assert (config.task.n_validation, config.task.validation_pool, config.task.stop_at) == (64, 2000, StopAt.sentence)
    assert config.name == "smollm2-135m-chat"
    assert config.report.name == config.name


def test_overrides_are_typed() -> None:
    config = resolve(composed("task=jsonl", "task.path=x.jsonl", "task.n_validation=null", "task.slices=[a,b]"))
    assert isinstance(config.task, JsonlTaskConfig)
    assert config.task.n_validation is None
    assert config.task.slices == ["a", "b"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+unknown=1", r"Unknown setting 'unknown'"),
        ("+promt=1", r"Unknown setting 'promt'. Did you mean 'prompt'\?"),
        ("+task.n_validatoin=1", r"Did you mean 'task.n_validation'\?"),
        ("+generation.max_token=1", r"Did you mean 'generation.max_tokens'\?"),
    ],
)
def test_a_key_that_hydra_would_add_is_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(composed(override))


def test_a_missing_value_says_what_to_add() -> None:
    with pytest.raises(ConfigError, match=r"task.path has no value. Add task.path="):
        resolve(composed("task=jsonl"))
