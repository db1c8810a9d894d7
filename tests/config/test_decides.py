"""Every setting says what it decides, and everything that asks gets one answer."""

from __future__ import annotations

import ast
from dataclasses import asdict
from pathlib import Path

import pytest

from harness import config
from harness.config import EchoModelConfig, HarnessConfig, JudgeConfig, LocalModelConfig, LoraConfig, TrackingConfig
from harness.config.decides import affecting, flat, settings_of_schema, with_own_seeds
from harness.config.fields import Decides
from harness.store.digest import digest


@pytest.mark.parametrize("schema", [HarnessConfig, JudgeConfig])
def test_every_setting_says_what_it_decides(schema: type) -> None:
    unclassified = [name for name, setting in settings_of_schema(schema) if setting is None]
    assert not unclassified, "declare them with text, scores, display or nothing of harness.config.fields"


def test_a_setting_decides_the_same_in_every_variant_of_its_group() -> None:
    decides: dict[str, set[Decides]] = {}
    for name, setting in settings_of_schema(HarnessConfig):
        assert setting is not None
        decides.setdefault(name, set()).add(setting.decides)
    assert {name: kinds for name, kinds in decides.items() if len(kinds) > 1} == {}


def test_a_digest_is_of_what_affects_results() -> None:
    assert digest(EchoModelConfig(seconds=1.0)) == digest(EchoModelConfig(seconds=2.0))
    assert digest(EchoModelConfig(error_rate=0.1)) != digest(EchoModelConfig(error_rate=0.2))
    assert digest(LoraConfig(seed=0)) != digest(LoraConfig(seed=1))
    assert digest(TrackingConfig(project="a")) == digest(TrackingConfig(project="b"))


def test_what_affects_a_run() -> None:
    config = {
        "name": "run",
        "generation": {"seed": 3, "batch": False},
        "task": {"sample_seed": 4},
        "stats": {"seed": 6},
        "store": "/somewhere",
        "model": asdict(LocalModelConfig("local", "mine", path="folder", batch_size=2, device="cpu")),
        "finetune": {"seed": 5, "n_train": 20},
        "metrics": {"names": ["bleu"], "options": {"bleu": {"tokenize": "zh"}}},
        "tracking": {"mode": "offline"},
        "setting_of_another_version": 1,
    }
    kept = flat(affecting(config))
    assert kept.keys() == {
        *("generation.seed", "task.sample_seed", "stats.seed"),
        *("finetune.seed", "finetune.n_train", "metrics.names", "metrics.options.bleu.tokenize"),
        *(f"model.{key}" for key in ("backend", "path", "revision", "layers", "adapter", "dtype")),
        "setting_of_another_version",
    }
    assert flat(affecting(config, labels=True)).keys() - kept.keys() == {"model.name"}
    assert kept.keys() - flat(affecting(config, seeds=False)).keys() == {"generation.seed", "finetune.seed"}


def test_the_one_seed_of_earlier_versions_is_read_as_those_of_today() -> None:
    stored = {"seed": 3, "stats": {"n_resamples": 500}, "finetune": {"seed": 3}, "generation": {"max_tokens": 8}}
    assert flat(affecting(stored)) == {
        "finetune.seed": 3,
        "task.sample_seed": 3,
        "generation.seed": 3,
        "generation.max_tokens": 8,
        "stats.seed": 3,
        "stats.n_resamples": 500,
    }
    other = {**stored, "seed": 4, "finetune": {"seed": 4}}
    assert affecting(stored, seeds=False) == affecting(other, seeds=False), "replicates of one recipe then, and now"
    new = {"task": {"sample_seed": 1}, "generation": {"seed": 2}, "stats": {"seed": 3}}
    assert with_own_seeds(new) == new


def test_every_setting_has_a_docstring_under_it() -> None:
    """Hydra users read them in the schema; only enum members may do without."""
    undocumented = []
    for path in sorted(Path(config.__file__).parent.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith("Config"):
                for line, below in zip(node.body, [*node.body[1:], None], strict=True):
                    documented = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
                    if isinstance(line, ast.AnnAssign) and ast.unparse(line.target) != "_" and not documented:
                        undocumented.append(f"{node.name}.{ast.unparse(line.target)}")
    assert undocumented == []
