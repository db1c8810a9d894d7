"""Smaller base models, made by leaving out layers of a larger one.

A ladder of sizes needs several bases, and small ones are not always to be had. The layers to leave out are best a
block in the middle, whose output is most like its input (Gromov et al. 2024, https://arxiv.org/abs/2403.17887). What
is left is no good as it is and heals in a fine-tune.
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
from harness.hf import weights
from harness.store.digest import digest

if TYPE_CHECKING:
    from torch import Tensor

LAYER = re.compile(r"(.*\blayers\.)(\d+)(\..*)")


def locate(config: LocalModelConfig) -> weights.Located:
    """Return the folder of the base model that a config names, with `layers` left out; see `weights.locate`."""
    located = weights.locate(config.path, config.revision)
    if config.layers is None:
        return located
    return weights.Located(_keep(located.folder, config.layers), located.revision)


def _keep(folder: Path, layers: Sequence[int]) -> Path:
    """Return a folder with these layers of a model alone, named by its content and made the first time."""
    settings = json.loads((folder / "config.json").read_text("utf-8"))
    depth = settings.get("num_hidden_layers", 0)
    if not layers or list(layers) != sorted(set(layers)) or layers[0] < 0 or layers[-1] >= depth:
        raise ConfigError(f"model.layers: expected layers from 0 to {depth - 1}, rising, got {list(layers)}")
    made = weights.cache_dir() / "layers" / digest([weights.identify(folder), layers])
    made.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{made}.lock"):
        if not made.exists():
            partial = Path(f"{made}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(folder, partial, ignore=shutil.ignore_patterns("*.safetensors*", ".*"))
            _write(folder, partial, layers)
            (partial / "config.json").write_text(json.dumps(_fewer(settings, depth, layers), indent=2), "utf-8")
            os.rename(partial, made)
    return made


def _write(folder: Path, partial: Path, layers: Sequence[int]) -> None:
    from safetensors.torch import load_file, save_file

    place = {layer: number for number, layer in enumerate(layers)}
    kept: dict[str, Tensor] = {}
    found = False
    for file in weights.weight_files(folder):
        for name, tensor in load_file(file).items():
            match = LAYER.fullmatch(name)
            found = found or match is not None
            if match is None:
                kept[name] = tensor
            elif int(match[2]) in place:
                kept[f"{match[1]}{place[int(match[2])]}{match[3]}"] = tensor
    if not found:
        raise ModelError(f"{folder}: expected weights called ...layers.N..., found none. Leave model.layers out.")
    save_file(kept, partial / "model.safetensors", {"format": "pt"})


def _fewer(settings: dict[str, Any], depth: int, layers: Sequence[int]) -> dict[str, Any]:
    """Return a model's settings for its kept layers; a list as long as the model is deep has an entry a layer."""
    per_layer = {key: value for key, value in settings.items() if isinstance(value, list) and len(value) == depth}
    fewer = {key: [value[layer] for layer in layers] for key, value in per_layer.items()}
    return {**settings, **fewer, "num_hidden_layers": len(layers)}
