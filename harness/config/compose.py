"""The bridge between Hydra and the schema: registration, typed resolution, and checks that Hydra leaves out.

Hydra refuses a misspelt `key=` but accepts any `+key=`; here both are refused, with the nearest valid name.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness import config as schema
from harness.config.decides import settings_of_schema
from harness.config.escapes import unescape
from harness.errors import ConfigError, unknown
from harness.paths import stem

T = TypeVar("T")

_SCHEMAS: tuple[tuple[str | None, str, type], ...] = (
    (None, "harness_schema", schema.HarnessConfig),
    (None, "judge_schema", schema.JudgeConfig),
    ("task", "task_schema", schema.TaskConfig),
    ("task", "wiki_schema", schema.WikiTaskConfig),
    ("task", "jsonl_schema", schema.JsonlTaskConfig),
    ("task", "hub_schema", schema.HubTaskConfig),
    ("model", "model_schema", schema.ModelConfig),
    ("model", "local_schema", schema.LocalModelConfig),
    ("model", "echo_schema", schema.EchoModelConfig),
    ("model", "replay_schema", schema.ReplayModelConfig),
    ("model", "openai_schema", schema.OpenAIModelConfig),
    ("finetune", "finetune_schema", schema.FineTuneConfig),
    ("finetune", "training_schema", schema.TrainingConfig),
    ("finetune", "lora_schema", schema.LoraConfig),
    ("finetune", "openai_finetune_schema", schema.OpenAIFineTuneConfig),
)


SEEDS = {
    "task.sample_seed": "which examples are scored, shown as shots and trained on",
    "generation.seed": "the sampling of completions",
    "finetune.seed": "the order of the training examples, dropout and the adapter's first weights",
    "stats.seed": "the bootstrap and permutation tests",
}
"""The seeds of a run and what each of them seeds."""


def register() -> None:
    """Make the schema and the resolver `${basename:PATH}` known to Hydra; calling it twice changes nothing."""
    store = ConfigStore.instance()
    for group, name, node in _SCHEMAS:
        store.store(group=group, name=name, node=node)
    OmegaConf.register_new_resolver("basename", _basename, replace=True)


def conf_dir() -> Path:
    """Return the folder of the shipped configs: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "config.yaml").exists():
            return folder
    raise ConfigError(f"the shipped configs are missing: expected {package / 'conf'}. Install the package again.")


def resolve(config: DictConfig) -> schema.HarnessConfig:
    """Return the composed config as typed objects; ConfigError names a missing, unknown or ill-typed key."""
    return _resolved(config, schema.HarnessConfig)


def run_config(overrides: Sequence[str]) -> schema.HarnessConfig:
    """Compose `conf/config.yaml` with these overrides, as `python -m harness run` does; ConfigError as of `resolve`."""
    return _composed("config", overrides, schema.HarnessConfig)


def judge_config(overrides: Sequence[str]) -> schema.JudgeConfig:
    """Compose `conf/judge.yaml` with these overrides; ConfigError as of `resolve`."""
    return _composed("judge", overrides, schema.JudgeConfig)


def search_path(config_dir: str | None) -> list[str]:
    """Return the overrides that make a user's config folder known, as `--config-dir` of Hydra's own command does."""
    if not config_dir:
        return []
    folder = Path(config_dir).expanduser().resolve()
    if not folder.is_dir():
        raise ConfigError(f"--config-dir: expected a folder of config groups, got {config_dir}")
    return [f"hydra.searchpath=['file://{folder}']"]


def choices(group: str, config_dirs: Sequence[str | Path] = ()) -> list[str]:
    """Return what may be chosen in a config group, from the shipped configs and the user's folders."""
    folders = (conf_dir(), *map(Path, config_dirs))
    return sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})


def with_own_keys(overrides: Sequence[str]) -> list[str]:
    """Return the overrides with `++` before those of mappings with keys of the user's own, such as `model.extra.KEY=1`.

    Hydra takes a key that is not there for a misspelt one.
    """
    open_names = {name for name, setting in settings_of_schema(schema.HarnessConfig) if setting and setting.any_key}
    return [f"++{word}" if _is_within(word, open_names) else word for word in overrides]


def _is_within(override: str, names: Collection[str]) -> bool:
    name = override.partition("=")[0]
    return "=" in override and any(name == of or name.startswith(f"{of}.") for of in names)


def explain(
    error: Exception, typed: type = schema.HarnessConfig, config_dirs: Sequence[str | Path] = ()
) -> ConfigError:
    """Turn an error of Hydra's or OmegaConf's into one that names the nearest valid keys, groups and choices."""
    text = str(error)
    if group := re.search(r"You must specify '([^']+)'", text):
        valid = ", ".join(choices(group[1], config_dirs))
        return ConfigError(f"{group[1]} has no value. Add {group[1]}=CHOICE, one of: {valid}.")
    if choice := re.search(r"Could not find '([^/']+)/([^']+)'", text):
        return ConfigError(unknown(choice[1], choice[2], choices(choice[1], config_dirs)))
    if value := re.search(r"[Mm]issing mandatory value: (\S+)", text):
        name = value[1] if "interpolation" in text else getattr(error, "full_key", None) or value[1]
        return ConfigError(f"{name} has no value. Add {name}=... to the command line.")
    if key := re.search(r"Could not override '([^']+)'|Key '([^']+)' (?:is not in struct|not in)", text):
        name = key[1] or key[2]
        if name == "seed" and typed is schema.HarnessConfig:
            return _which_seed()
        near = _nearest(name, typed)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        listed = "python -m harness run --cfg job" if typed is schema.HarnessConfig else ", ".join(_names(typed))
        return ConfigError(f"Unknown setting or group {name!r}.{hint} All of them: {listed}")
    if re.search(r"Interpolation key 'seed' not found", text):
        return _which_seed()
    cause = f" ({str(error.__cause__).splitlines()[0]})" if error.__cause__ else ""
    return ConfigError(text + cause)


def _which_seed() -> ConfigError:
    """Return the error for `seed`, which was the one seed of everything in earlier versions."""
    listed = "; ".join(f"{name} ({what})" for name, what in SEEDS.items())
    return ConfigError(f"seed: expected the seed of one thing, got one for everything. Set what you mean of: {listed}.")


def section(typed: type[T], values: Mapping[str, Any]) -> T:
    """Return one part of a stored config as its typed object."""
    built: T = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(typed), values))  # type: ignore[assignment]
    return built


def _composed(name: str, overrides: Sequence[str], typed: type[T]) -> T:
    register()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            config = compose(name, overrides=with_own_keys(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, typed, _config_dirs(overrides)) from error
    return _resolved(config, typed)


def _config_dirs(overrides: Sequence[str]) -> list[str]:
    """Return the folders that overrides of `search_path` name."""
    return [folder for word in overrides for folder in re.findall(r"^hydra\.searchpath=\['file://(.*)'\]$", word)]


def _resolved(config: DictConfig, typed: type[T]) -> T:
    _refuse_unknown(config)
    try:
        resolved = OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise explain(error, typed) from error
    if not isinstance(resolved, typed):
        raise ConfigError(
            f"expected a {typed.__name__}, got {type(resolved).__name__}: keep the schema first in the defaults list"
        )
    unescape(resolved)
    return resolved


def _nearest(name: str, typed: type) -> list[str]:
    """Return up to three settings or groups like `name`: by whole dotted name first, then by last part."""
    valid = _names(typed)
    whole = difflib.get_close_matches(name, valid, n=3, cutoff=0.6)
    parts = {v: v.rsplit(".", 1)[-1] for v in valid}
    like = difflib.get_close_matches(name.rsplit(".", 1)[-1], set(parts.values()), n=3, cutoff=0.7)
    return list(dict.fromkeys([*whole, *(v for v, part in parts.items() if part in like)]))[:3]


def _names(typed: type, prefix: str = "") -> list[str]:
    """Return the dotted name of every setting, those of all variants of a group included."""
    names = []
    for variant in (typed, *typed.__subclasses__()):
        hints = get_type_hints(variant)
        for field in dataclasses.fields(variant):
            name = f"{prefix}{field.name}"
            kind = hints[field.name]
            nested = isinstance(kind, type) and dataclasses.is_dataclass(kind)
            names += [name, *(_names(kind, f"{name}.") if nested else [])]
    return list(dict.fromkeys(names))


def _refuse_unknown(config: DictConfig, prefix: str = "") -> None:
    typed = OmegaConf.get_type(config)
    if not dataclasses.is_dataclass(typed):
        return
    fields = {f.name for f in dataclasses.fields(typed)}
    for key in config:
        if key == "seed" and typed is schema.HarnessConfig:
            raise _which_seed()
        if key not in fields:
            raise ConfigError(unknown("setting", f"{prefix}{key!s}", [f"{prefix}{f}" for f in fields]))
        value: Any = config._get_node(key)
        if isinstance(value, DictConfig) and not value._is_missing():
            _refuse_unknown(value, f"{prefix}{key!s}.")


def _basename(*paths: str | None) -> str:
    """Return the name of the first path that is given, without the ending that says what a file holds."""
    name = stem(str(next((path for path in paths if path), "none")))
    return name.removesuffix(".gguf").replace(":", "-")  # as in ft:...: it names a folder too
