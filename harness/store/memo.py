"""The user's cache folder, and small results in it that take long to compute, by the digest of what decides them.

A run that has nothing to do would otherwise load a tokenizer, with all its libraries, to find that out. Nothing is lost
with the folder.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from harness.store.digest import digest
from harness.store.files import write_atomic

MOST_BYTES = 4_000_000
"""Larger results are computed again: for so many prompts the libraries' own time is small."""


def cache_dir() -> Path:
    """Return where converted weights are kept: $HARNESS_CACHE, or finetune-harness in the user's cache folder."""
    if chosen := os.environ.get("HARNESS_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finetune-harness"


def recall(inputs: object) -> Any | None:
    """Return the JSON value that was kept for these inputs, None where there is none that can be read."""
    try:
        return json.loads(_path(inputs).read_bytes())
    except (OSError, ValueError):
        return None


def remember(inputs: object, value: object) -> None:
    """Keep a JSON value for these inputs, unless it is large or the folder cannot be written."""
    data = json.dumps(value).encode()
    if len(data) > MOST_BYTES:
        return
    try:
        write_atomic(_path(inputs), data)
    except OSError:
        return


def _path(inputs: object) -> Path:
    return cache_dir() / "memo" / f"{digest(inputs)}.json"
