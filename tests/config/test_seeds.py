"""A seed says what it seeds, and is a number that everything seeded with it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import GenerationConfig
from harness.config.compose import run_config, search_path
from harness.errors import ConfigError

ONE_SEED = ["seed=1", "+seed=1", "++seed=1", "name='run-${seed}'", "+experiment=old", "finetune=old"]
WHICH = [
    "task.sample_seed (which examples are scored, shown as shots and trained on)",
    "generation.seed (the sampling of completions)",
    "finetune.seed (the order of the training examples, dropout and the adapter's first weights)",
    "stats.seed (the bootstrap and permutation tests)",
]


@pytest.mark.parametrize(
    "override", ["seed=1", "+seed=1", "++seed=1", "name='run-${seed}'", "+experiment=old", "finetune=old"]
)
def test_one_seed_for_everything_is_refused_with_those_that_there_are(tmp_path: Path, override: str) -> None:
    for name, text in (("experiment", "# @package _global_\nseed: 1"), ("finetune", LORA_OF_EARLIER_VERSIONS)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "old.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"^seed: expected the seed of one thing") as error:
        run_config([override, *search_path(str(tmp_path))])
    assert all(line in str(error.value) for line in WHICH)


LORA_OF_EARLIER_VERSIONS = "defaults:\n  - lora_schema\n  - _self_\nmethod: lora\nseed: ${seed}\n"


@pytest.mark.parametrize("setting", ["task.sample_seed", "generation.seed", "stats.seed", "finetune.seed"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("-1", "expected a whole number from 0 to 9223372036854775807, got -1"),
        (str(2**63), "expected a whole number from 0 to 9223372036854775807"),
        ("true", "could not be converted to Integer"),
        ("1.5", "could not be converted to Integer"),
        ("null", "not Optional"),
    ],
)
def test_a_seed_is_a_whole_number(setting: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run_config(["finetune=lora", f"{setting}={value}"])
    assert run_config(["finetune=lora", f"{setting}={2**63 - 1}"])


def test_a_seed_of_a_hosted_fine_tune_is_one_that_the_service_takes() -> None:
    words = ["model=openai", "model.id=x", "finetune=openai"]
    with pytest.raises(ConfigError, match=r"finetune\.seed: expected a whole number from 0 to 2147483647"):
        run_config([*words, f"finetune.seed={2**31}"])


def test_a_seed_of_python_is_checked_too() -> None:
    with pytest.raises(ConfigError, match=r"generation\.seed: expected a whole number from 0 to \d+, got True"):
        GenerationConfig(seed=True)
    with pytest.raises(ConfigError, match=r"generation\.n: expected 1 or more, got 0"):
        GenerationConfig(n=0)
