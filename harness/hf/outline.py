"""A model without its weights: whether its files would fill it is told from their headers, in a second or two."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from harness.hf import integrity, loading, weights


def refuse_damaged_outline(folder: Path) -> None:
    """Raise the ModelError that loading this folder would raise for tensors that are missing, unused or misshapen.

    What only values show, such as weights that are not numbers, is told when the model is loaded.
    """
    files = weights.weight_files(folder)
    _check(folder, tuple((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files))


@cache
def _check(folder: Path, stamps: tuple[tuple[str, int, int], ...]) -> None:  # noqa: ARG001 - checked once as it is
    if importlib.util.find_spec("accelerate") is None:  # transformers needs it to leave weights out
        return
    with loading.guarded(folder):
        from transformers import AutoModelForCausalLM

        auto: Any = AutoModelForCausalLM
        _, info = auto.from_pretrained(
            folder,
            device_map="meta",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
        integrity.refuse_misfit(folder, info, integrity.read_settings(folder / "config.json"))
