"""A model whose rows end at many lengths."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def ending_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with one token in twenty ending the text, so that rows leave the batch at many lengths."""
    copy = shutil.copytree(tiny_model, tmp_path_factory.mktemp("ending") / "model")
    settings = json.loads((copy / "generation_config.json").read_text())
    settings["eos_token_id"] = [0, *range(3, 320, 20)]
    (copy / "generation_config.json").write_text(json.dumps(settings))
    return copy
