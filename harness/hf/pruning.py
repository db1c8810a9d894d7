"""Smaller base models, made by removing layers of a larger one.

A comparison of sizes needs several base models, and small ones are not always available. It is best to remove a block
of layers in the middle, whose output is most similar to its input (Gromov et al. 2024,
https://arxiv.org/abs/2403.17887). A pruned model is poor as it is and recovers in a fine-tune.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from harness.config import LocalModelConfig
from harness.errors import ConfigError, ModelError
from harness.hf import integrity, weights
from harness.hf.loading import guarded
from harness.store.digest import digest
from harness.store.memo import cache_dir

if TYPE_CHECKING:
    from torch import Tensor

LAYER = re.compile(r"(.*\blayers\.)(\d+)(\..*)")


def locate(config: LocalModelConfig) -> weights.Located:
    """Return the folder of a config's base model, pruned to `layers` where these are set; see `weights.locate`."""
    located = weights.locate(config.path, config.revision)
    if config.layers is None:
        return located
    return weights.Located(_pruned(located.folder, config.layers), located.revision)


def _pruned(folder: Path, layers: Sequence[int]) -> Path:
    """Return a folder with only these layers of a model, named by its content and written the first time."""
    settings = integrity.read_settings(folder / "config.json")
    depth = settings.get("num_hidden_layers")
    if not isinstance(depth, int):
        raise ConfigError(
            f"model.layers: expected a model with num_hidden_layers in its config.json, {folder} has none. "
            "Leave model.layers out, or choose another base model."
        )
    if not layers or list(layers) != sorted(set(layers)) or layers[0] < 0 or layers[-1] >= depth:
        raise ConfigError(f"model.layers: expected layers from 0 to {depth - 1}, ascending, got {list(layers)}")
    pruned = cache_dir() / "layers" / digest([weights.identify(folder), layers])
    pruned.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{pruned}.lock"):
        if not pruned.exists():
            partial = Path(f"{pruned}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            for file in weights.readable_files(folder):
                if not file.name.endswith(".safetensors.index.json"):
                    shutil.copy(file, partial)
            if (templates := folder / "additional_chat_templates").is_dir():
                shutil.copytree(templates, partial / templates.name)
            _write(folder, partial, layers)
            (partial / "config.json").write_text(json.dumps(_fewer(settings, depth, layers), indent=2), "utf-8")
            os.rename(partial, pruned)
    return pruned


def _write(folder: Path, partial: Path, layers: Sequence[int]) -> None:
    from safetensors.torch import load_file, save_file

    new_index = {layer: number for number, layer in enumerate(layers)}
    tensors: dict[str, Tensor] = {}
    has_layers = False
    for file in weights.weight_files(folder):
        with guarded(folder):
            content = load_file(file)
        for name, tensor in content.items():
            match = LAYER.fullmatch(name)
            has_layers = has_layers or match is not None
            if match is None:
                tensors[name] = tensor
            elif int(match[2]) in new_index:
                tensors[f"{match[1]}{new_index[int(match[2])]}{match[3]}"] = tensor
    if not has_layers:
        raise ModelError(f"{folder}: expected weights called ...layers.N..., found none. Leave model.layers out.")
    save_file(tensors, partial / "model.safetensors", {"format": "pt"})


def _fewer(settings: dict[str, Any], depth: int, layers: Sequence[int]) -> dict[str, Any]:
    """Return a model's settings for the remaining layers, also in lists that have one entry per layer."""
    per_layer = {key: value for key, value in settings.items() if isinstance(value, list) and len(value) == depth}
    fewer = {key: [value[layer] for layer in layers] for key, value in per_layer.items()}
    return {**settings, **fewer, "num_hidden_layers": len(layers)}
