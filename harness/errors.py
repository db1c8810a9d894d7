"""Every error that the harness raises on purpose, with its exit code.

    HarnessError (1)
    ├── ConfigError (2)         a misspelt, missing or impossible setting
    ├── DataError (3)           a task's data is damaged, leaking or missing
    ├── ModelError (4)          a model cannot be loaded or reached
    │   └── MissingExtra (4)    a package is not installed; says which to install
    ├── StoreError (5)          a stored run or stage is missing, damaged or does not match
    ├── FineTuneError (6)       a fine-tune cannot start or go on
    ├── GateFailed (7)          a candidate is worse than its baseline
    └── GateUndecided (8)       too few examples to say whether it is

A message says what was expected, what was got, and how to fix it. A failed completion is not an error but a
`Completion` with its `error` set. Interrupted runs exit with 130, as shells expect.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable


class HarnessError(Exception):
    """Anything that a user can fix; printed without a traceback."""

    exit_code = 1


class ConfigError(HarnessError):
    """A setting is misspelt, missing or impossible."""

    exit_code = 2


class DataError(HarnessError):
    """A task's data is damaged, leaking or missing."""

    exit_code = 3


class ModelError(HarnessError):
    """A model cannot be loaded or reached."""

    exit_code = 4


class MissingExtra(ModelError):
    """A package that this setting needs is not installed."""

    def __init__(self, package: str, install: str, instead: str = "") -> None:
        without = f"\nOr do without it: {instead}" if instead else ""
        super().__init__(f"{package} is not installed. Install it with: {install}{without}")


def require(module: str, extra: str, instead: str = "") -> None:
    """Raise a MissingExtra unless the module, which an extra of this package installs, can be imported.

    `instead` is the setting that does without it.
    """
    if importlib.util.find_spec(module) is None:
        raise MissingExtra(module, f"pip install 'finetune-harness[{extra}]'", instead)


class StoreError(HarnessError):
    """A stored run or stage is missing, damaged or does not match."""

    exit_code = 5


class FineTuneError(HarnessError):
    """A fine-tune cannot start or go on."""

    exit_code = 6


class GateFailed(HarnessError):
    """A candidate is worse than its baseline by more than the margin."""

    exit_code = 7


class GateUndecided(HarnessError):
    """The examples are too few to say whether the candidate is worse."""

    exit_code = 8


def unknown(kind: str, name: str, valid: Iterable[str]) -> str:
    """Return the message for an unknown name: the nearest match first, then all the valid ones."""
    names = sorted(valid)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown {kind} {name!r}.{hint} Valid: {', '.join(names) or 'none'}."
