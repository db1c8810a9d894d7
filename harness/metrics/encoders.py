"""Encoders for the metrics that compare meaning: found, named and loaded in one place."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from harness import resources, weights


def describe(model: str, library: str) -> str:
    """Return an encoder's part of a signature: a name that no machine's paths are in, its weights, the library."""
    local = resources.resolve(model)
    name = local.name if local.is_dir() and not model.startswith(resources.PREFIX) else model
    digest = weights.identify(weights.locate(model).folder).weights
    return f"model:{name.removeprefix(resources.PREFIX)}|weights:{digest}|{library}:{version(library)}"
