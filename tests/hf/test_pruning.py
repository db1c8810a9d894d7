"""A base model with layers left out: the same as leaving them out in memory, pruned once, refused when it cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness.config import LocalModelConfig
from harness.errors import ConfigError
from harness.hf import loading, pruning, weights
from harness.models.local import LocalModel


def config(folder: Path, keep: list[int] | None) -> LocalModelConfig:
    return LocalModelConfig("local", "tiny", str(folder), layers=keep)


@pytest.mark.parametrize("keep", [[0], [1]])
def test_it_computes_what_the_model_does_without_those_layers(tiny_model: Path, keep: list[int]) -> None:
    import torch

    whole = loading.load_model(tiny_model)
    whole.model.layers = torch.nn.ModuleList([whole.model.layers[layer] for layer in keep])
    folder = pruning.locate(config(tiny_model, keep)).folder
    pruned = loading.load_model(folder)
    ids = torch.arange(20)[None]
    for number, layer in enumerate(whole.model.layers):
        layer.self_attn.layer_idx = number
    assert torch.equal(pruned(input_ids=ids).logits, whole(input_ids=ids).logits)
    assert loading.load_tokenizer(folder).chat_template == loading.load_tokenizer(tiny_model).chat_template


def test_it_is_made_once_and_is_a_model_of_its_own(tiny_model: Path) -> None:
    first = pruning.locate(config(tiny_model, [0])).folder
    pruned = (first / "model.safetensors").stat().st_mtime_ns
    assert pruning.locate(config(tiny_model, [0])).folder == first
    assert (first / "model.safetensors").stat().st_mtime_ns == pruned
    assert pruning.locate(config(tiny_model, None)) == weights.locate(str(tiny_model))
    whole, smaller = LocalModel(config(tiny_model, None)), LocalModel(config(tiny_model, [0]))
    assert whole.identity.weights != smaller.identity.weights
    assert whole.identity.tokenizer == smaller.identity.tokenizer
    assert smaller.parameters is not None
    assert whole.parameters is not None
    assert smaller.parameters < whole.parameters


@pytest.mark.parametrize("keep", [[], [2], [-1, 0], [1, 0], [0, 0]])
def test_layers_that_are_not_there_are_refused(tiny_model: Path, keep: list[int]) -> None:
    with pytest.raises(ConfigError, match=r"model\.layers: expected layers from 0 to 1, ascending"):
        pruning.locate(config(tiny_model, keep))


def test_only_what_is_read_is_copied(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    for name in ("optimizer.pt", "README.md", "checkpoint-10/optimizer.pt", "additional_chat_templates/tool_use.jinja"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    pruned = pruning.locate(config(folder, [0])).folder
    extra = {path.relative_to(pruned).as_posix() for path in pruned.rglob("*") if path.is_file()}
    assert extra - {path.name for path in tiny_model.iterdir()} == {"additional_chat_templates/tool_use.jinja"}
    assert weights.identify(pruned).chat_template == weights.identify(folder).chat_template


def test_a_model_that_counts_its_layers_otherwise(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    settings = json.loads((folder / "config.json").read_text())
    settings["n_layer"] = settings.pop("num_hidden_layers")
    (folder / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match=r"expected a model with num_hidden_layers .* Leave model\.layers out"):
        pruning.locate(config(folder, [0]))
