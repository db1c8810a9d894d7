"""How a setting is declared: its default, its check, and what it decides.

Run ids and stage keys (`harness.store.digest`), factors, recipes, baselines and W&B all read what a setting decides
from the metadata of its field, so a new setting is classified in one place. A field is declared with one of these:

    text(default)      which completions come out: data, prompt, model, training, decoding
    scores(default)    how completions are scored: examples, metrics, intervals
    display(default)   what things are called and where and how they are shown
    nothing(default)   none of these: speed, places, limits on money

`seed=True` marks a seed that the runs of one recipe may differ in: they are replicates. A seed that chooses examples or
resamples is none of these. `label=True` marks the name of what a group chose.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from harness.errors import ConfigError

MAX_SEED = 2**63 - 1
"""The largest seed that services take with a request; numpy and torch take larger ones."""


class Decides(StrEnum):
    """What a setting decides."""

    TEXT = "text"
    SCORES = "scores"
    DISPLAY = "display"
    NOTHING = "nothing"


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the schema: what it decides, and whether it is a seed or the name of what its group chose."""

    decides: Decides
    seed: bool = False
    label: bool = False
    any_key: bool = False
    """Whether it is a mapping with keys of the user's own."""

    @property
    def affects_results(self) -> bool:
        """Whether a change of it can change a completion or a score."""
        return self.decides in (Decides.TEXT, Decides.SCORES)


def text(default: Any = dataclasses.MISSING, *, factory: Callable[[], Any] | None = None, seed: bool = False) -> Any:
    """Declare a setting that decides which completions come out."""
    return _field(default, factory, Setting(Decides.TEXT, seed=seed))


def scores(default: Any = dataclasses.MISSING, *, factory: Callable[[], Any] | None = None) -> Any:
    """Declare a setting that decides how completions are scored."""
    return _field(default, factory, Setting(Decides.SCORES))


def display(
    default: Any = dataclasses.MISSING, *, factory: Callable[[], Any] | None = None, label: bool = False
) -> Any:
    """Declare a setting that decides how things are called, or how and where they are shown."""
    return _field(default, factory, Setting(Decides.DISPLAY, label=label))


def nothing(default: Any = dataclasses.MISSING, *, factory: Callable[[], Any] | None = None) -> Any:
    """Declare a setting that decides neither a completion, nor a score, nor how they are shown."""
    return _field(default, factory, Setting(Decides.NOTHING))


def check(ok: bool, key: str, expected: str, got: object) -> None:
    """Raise a ConfigError unless `ok`: the key, what was expected, what was got."""
    if not ok:
        raise ConfigError(f"{key}: expected {expected}, got {got}")


def check_seed(key: str, seed: object, most: int = MAX_SEED) -> None:
    """Raise a ConfigError unless a seed is a whole number that everything seeded with it takes."""
    ok = isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed <= most
    check(ok, key, f"a whole number from 0 to {most}", seed)


def _field(default: Any, factory: Callable[[], Any] | None, setting: Setting) -> Any:
    setting = dataclasses.replace(setting, any_key=factory is dict)
    metadata = {"setting": setting, "decides": setting.decides.value}
    if factory is not None:
        return dataclasses.field(default_factory=factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)
