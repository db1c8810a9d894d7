"""Encoders for the metrics that compare meaning: found, named and loaded in one place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness import paths as resources
from harness.errors import ModelError
from harness.hf import loading, weights


def describe(model: str, library: str) -> str:
    """Return an encoder's part of a signature: a name without this machine's paths, its weights, the library."""
    local = resources.resolve(model)
    name = local.name if local.is_dir() and not model.startswith(resources.PREFIX) else model
    digest = weights.identify(weights.locate(model).folder).weights
    return f"model:{name.removeprefix(resources.PREFIX)}|weights:{digest}|{library}:{version(library)}"


@contextmanager
def opening(folder: Path) -> Iterator[None]:
    """Turn what a library raises on a damaged or unknown encoder into a ModelError, and hide its own bars."""
    try:
        from transformers.utils import logging

        bars: Any = logging
        shown = bars.is_progress_bar_enabled()
        bars.disable_progress_bar()
        try:
            yield
        finally:
            if shown:
                bars.enable_progress_bar()
    except ImportError as error:
        raise loading.missing(error) from error
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder} cannot be loaded as an encoder ({type(error).__name__}: {error}).") from error
