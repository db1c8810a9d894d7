"""Which settings of a config affect its results: the one place that reads what `harness.config.fields` declares.

Without its seeds, what affects a run is its recipe. Earlier versions had one seed for all that is drawn at random: a
stored config that has it is read as one of today.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, get_type_hints

from harness.config.fields import Decides, Setting
from harness.config.run import HarnessConfig

_FORMER_SEED = "seed"
"""The one seed of earlier versions: of examples, shots and training subset, of sampling, and of the bootstrap."""


def settings_of_schema(schema: type, prefix: str = "") -> Iterator[tuple[str, Setting | None]]:
    """Yield the dotted name of every setting of a config class and its variants; None where nobody classified it."""
    for variant in (schema, *_subclasses(schema)):
        hints = get_type_hints(variant)
        for field in dataclasses.fields(variant):
            name, kind = f"{prefix}{field.name}", hints[field.name]
            if isinstance(kind, type) and dataclasses.is_dataclass(kind):
                yield from settings_of_schema(kind, f"{name}.")
            else:
                yield name, field.metadata.get("setting")


def affecting(config: Mapping[str, Any], *, seeds: bool = True, labels: bool = False) -> dict[str, Any]:
    """Return the settings of a stored config that can change a completion or a score, nested as they are.

    Without `seeds` it is the recipe of the run. `labels` adds the names of what its groups chose. A setting that
    the schema does not know, such as one of an older version, is kept.
    """

    def keep(setting: Setting) -> bool:
        return (setting.affects_results and (seeds or not setting.seed)) or (labels and setting.label)

    return _pruned(with_own_seeds(config) if seeds else config, "", keep)


def with_own_seeds(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a stored config with a seed for each thing that is seeded, which one of an earlier version has not."""
    if _FORMER_SEED not in config:
        return config
    seed = config[_FORMER_SEED]
    own = {"task": {"sample_seed": seed}, "generation": {"seed": seed}, "stats": {"seed": seed}}
    rest = {key: value for key, value in config.items() if key != _FORMER_SEED}
    return {**rest, **{group: {**values, **rest.get(group, {})} for group, values in own.items()}}


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested config by dotted names."""
    leaves: dict[str, Any] = {}
    for key, value in config.items():
        leaves |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return leaves


@cache
def _classified() -> dict[str, Setting]:
    classified = {name: setting for name, setting in settings_of_schema(HarnessConfig) if setting is not None}
    return {_FORMER_SEED: Setting(Decides.TEXT, seed=True), **classified}


def _pruned(config: Mapping[str, Any], prefix: str, keep: Callable[[Setting], bool]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in config.items():
        setting = _classified().get(f"{prefix}{key}")
        if setting is not None:
            if keep(setting):
                kept[key] = value
        elif isinstance(value, Mapping):
            if nested := _pruned(value, f"{prefix}{key}.", keep):
                kept[key] = nested
        else:
            kept[key] = value
    return kept


def _subclasses(schema: type) -> Iterator[type]:
    subclass: type
    for subclass in schema.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)
