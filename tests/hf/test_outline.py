"""Weights that do not fill their model are told from the headers of their files, as they are when they are loaded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.errors import ModelError
from harness.hf import loading
from harness.hf.outline import refuse_damaged_outline


def test_a_layer_that_is_missing_is_refused_with_the_words_of_the_loader(tiny_model: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    refuse_damaged_outline(tiny_model)
    folder = shutil.copytree(tiny_model, tmp_path / "damaged")
    tensors = load_file(folder / "model.safetensors")
    kept = {name: values for name, values in tensors.items() if ".1." not in name and ".layers.0.mlp" not in name}
    assert len(kept) < len(tensors)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    messages = []
    for load in (refuse_damaged_outline, lambda path: loading.load_model(path, device="cpu")):
        with pytest.raises(ModelError, match="missing") as caught:
            load(folder)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    shutil.copy(tiny_model / "model.safetensors", folder / "model.safetensors")
    refuse_damaged_outline(folder)
