"""Literal tables from the names in the config to the classes behind them, imported on use.

A name may also be one that an installed package declares as an entry point, or your own "module:Class":

| what | entry point group | called with |
| --- | --- | --- |
| dataset | finetune_harness.tasks | the keys of its task config that it takes, and `task.options` |
| model | finetune_harness.models | its model config, and `model.options` |
| metric | finetune_harness.metrics | its `metrics.options`; `labels`, and a likelihood metric `tokenizer`, if taken |

What is made is checked against its protocol before any work, so a missing member is a ConfigError and not a crash
after the scoring.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.config import (
    FineTuneConfig,
    MetricsConfig,
    ModelConfig,
    OpenAIFineTuneConfig,
    SupervisedConfig,
    TaskConfig,
)
from harness.errors import ConfigError, MissingExtra, unknown
from harness.protocols import Dataset, FineTuner, Metric, Model
from harness.store.runs import StoredRun

DATASETS = {
    "wiki": "harness.tasks.wiki:WikiFirstSentence",
    "jsonl": "harness.tasks.jsonl:Jsonl",
    "hub": "harness.tasks.hub:HubDataset",
}
MODELS = {
    "local": "harness.models.local:LocalModel",
    "echo": "harness.models.echo:EchoModel",
    "replay": "harness.models.replay:ReplayModel",
    "openai": "harness.models.openai:OpenAIModel",
}
FINETUNERS = {
    "local": "harness.finetune.local:LocalFineTuner",
    "openai": "harness.finetune.hosted:OpenAIFineTuner",
}
"""By the backend of the model that is trained."""
METRICS: dict[str, tuple[str, dict[str, Any]]] = {
    "exact_match": ("harness.metrics.exact:ExactMatch", {}),
    "exact_match_normalized": ("harness.metrics.exact:NormalizedMatch", {}),
    "prefix_match": ("harness.metrics.exact:PrefixMatch", {}),
    "token_f1": ("harness.metrics.exact:TokenF1", {}),
    "rouge1": ("harness.metrics.rouge:Rouge", {"kind": "rouge1"}),
    "rouge2": ("harness.metrics.rouge:Rouge", {"kind": "rouge2"}),
    "rougeL": ("harness.metrics.rouge:Rouge", {"kind": "rougeL"}),
    "rougeLsum": ("harness.metrics.rouge:Rouge", {"kind": "rougeLsum"}),
    "bleu": ("harness.metrics.bleu:Bleu", {}),
    "chrf": ("harness.metrics.chrf:Chrf", {}),
    "ter": ("harness.metrics.ter:Ter", {}),
    "embedding_similarity": ("harness.metrics.embedding:EmbeddingSimilarity", {}),
    "bertscore_precision": ("harness.metrics.bertscore:BertScore", {"kind": "precision"}),
    "bertscore_recall": ("harness.metrics.bertscore:BertScore", {"kind": "recall"}),
    "bertscore_f1": ("harness.metrics.bertscore:BertScore", {"kind": "f1"}),
    "fact_precision": ("harness.metrics.facts:Facts", {"kind": "precision"}),
    "fact_recall": ("harness.metrics.facts:Facts", {"kind": "recall"}),
    "fact_f1": ("harness.metrics.facts:Facts", {"kind": "f1"}),
    "accuracy": ("harness.metrics.classification:Classification", {"kind": "accuracy"}),
    "balanced_accuracy": ("harness.metrics.classification:Classification", {"kind": "balanced_accuracy"}),
    "macro_f1": ("harness.metrics.classification:Classification", {"kind": "macro_f1"}),
    "auroc": ("harness.metrics.ranking:Ranking", {"kind": "auroc"}),
    "auprc": ("harness.metrics.ranking:Ranking", {"kind": "auprc"}),
    "validation_loss": ("harness.metrics.likelihood:TokenLikelihood", {"kind": "validation_loss"}),
    "perplexity": ("harness.metrics.likelihood:TokenLikelihood", {"kind": "perplexity"}),
    "token_accuracy": ("harness.metrics.likelihood:TokenLikelihood", {"kind": "token_accuracy"}),
    "sequence_accuracy": ("harness.metrics.likelihood:SequenceAccuracy", {}),
    "bits_per_byte": ("harness.metrics.likelihood:BitsPerByte", {}),
    "length_ratio": ("harness.metrics.diagnostics:LengthRatio", {}),
    "repetition": ("harness.metrics.diagnostics:Repetition", {}),
}
"""Each name's class and the options that make it that metric rather than another of its family."""
FAMILIES = {
    "rouge": ("rouge1", "rouge2", "rougeL", "rougeLsum"),
    "bertscore": ("bertscore_precision", "bertscore_recall", "bertscore_f1"),
    "fact": ("fact_precision", "fact_recall", "fact_f1"),
    "classification": ("accuracy", "balanced_accuracy", "macro_f1"),
    "ranking": ("auroc", "auprc"),
}
"""Names under which `metrics.options` are those of every member; a member's own options go before them."""


def dataset(config: TaskConfig) -> Dataset:
    """Return the dataset that the task names, not yet read."""
    factory = _load("dataset", config.dataset, DATASETS, "finetune_harness.tasks")
    accepted = inspect.signature(factory).parameters
    settings = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.name in accepted}
    settings.pop("options", None)
    built: Dataset = _call(factory, "task.options", config.options, (), settings)
    _check_protocol("dataset", config.dataset, built, Dataset)
    return built


def model(config: ModelConfig) -> Model:
    """Return the model that the config names, its weights not yet in memory."""
    factory = _load("model backend", config.backend, MODELS, "finetune_harness.models")
    built: Model = _call(factory, "model.options", config.options, (config,), {})
    _check_protocol("model", config.backend, built, Model)
    if config.options:  # completions are stored under the identity: other options are another model
        identity = built.identity
        revision = _with_options(identity.revision, config.options, " ")
        _with_attributes(built, identity=dataclasses.replace(identity, revision=revision))
    return built


def finetuner(config: FineTuneConfig, base: ModelConfig) -> FineTuner | None:
    """Return what trains the model before it is evaluated, or None where it is reused as it is."""
    if not isinstance(config, SupervisedConfig):
        return None
    if base.backend not in FINETUNERS:
        trainable = ", ".join(FINETUNERS)
        raise ConfigError(
            f"finetune={config.method}: the {base.backend!r} backend cannot be trained, only: {trainable}"
        )
    hosted = isinstance(config, OpenAIFineTuneConfig)
    if hosted != (base.backend == "openai"):
        fix = "model=openai model.id=MODEL" if hosted else "finetune=openai"
        raise ConfigError(f"finetune={config.method} does not train models of the {base.backend} backend: use {fix}")
    built: FineTuner = _load("fine-tuner", base.backend, FINETUNERS)(config, base)
    return built


def metric(name: str, options: Mapping[str, Any], labels: Sequence[str] = (), tokenizer: str = "") -> Metric:
    """Return the metric that `metrics.names` lists as `name`, with the user's options over its own.

    `labels` are a classification's and go to the metrics that take them. `tokenizer` is the digest of the model's, and
    goes to the metrics that read likelihoods: an option of that name of any other metric is the user's.
    """
    shipped: Mapping[str, Any] = {}
    if name.startswith("evaluate:"):
        factory = _load("metric", "harness.metrics.hf_evaluate:HubMetric", {})
        shipped = {"path": name.removeprefix("evaluate:")}
    elif name in METRICS:
        path, shipped = METRICS[name]
        factory = _load("metric", path, {})
    else:
        factory = _load("metric", name, METRICS, "finetune_harness.metrics")
    accepted = inspect.signature(factory).parameters
    context = {"labels": labels, "tokenizer": tokenizer if hasattr(factory, "texts_to_score") else ""}
    settings = {**shipped, **{key: value for key, value in context.items() if value and key in accepted}}
    built: Metric = _call(factory, f"metrics.options.{name}", options, (), settings)
    _check_protocol("metric", name, built, Metric)
    signature = _with_options(built.signature, options, "|")
    if name not in METRICS and signature != built.signature:  # statistics are stored, and scores compared, under it
        _with_attributes(built, signature=signature, parallel=False)  # other processes would not know the class
    return built


def metrics(config: MetricsConfig, labels: Sequence[str] = (), tokenizer: str = "") -> tuple[Metric, ...]:
    """Return the metrics of a config, in order; ConfigError where two have one name, or options are of no metric."""
    options = {name: options_of(name, config.options) for name in config.names}
    families = dict.fromkeys(family for name in config.names for family in _families(name))
    if unused := config.options.keys() - {key for key, _ in options.values()} - families.keys():
        known = unknown("metric of metrics.names", min(unused), [*config.names, *families])
        raise ConfigError(f"metrics.options: {known}")
    built = tuple(metric(name, given, labels, tokenizer) for name, (_, given) in options.items())
    names = [m.name for m in built]
    if len(set(names)) < len(names) or len(options) < len(config.names):
        raise ConfigError(f"metrics.names: expected each metric once, got {', '.join(config.names)} ({names})")
    return built


def stored_metric(run: StoredRun, name: str) -> Metric:
    """Return a metric, by its name on the leaderboard, as the stored run was scored with it."""
    config, result = run.result.config, run.result.metric(name)
    config_name = result.config_name if result else name
    _, options = options_of(config_name, config["metrics"]["options"])
    return metric(config_name, options, config["task"]["labels"], run.result.model.tokenizer)


def options_of(name: str, options: Mapping[str, Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]]:
    """Return the key and the options of a metric: its family's, and over them its own.

    Those of "module:Class" may stand under Class alone.
    """
    key = name if name in options or name.startswith("evaluate:") else name.rpartition(":")[2]
    return key, {option: value for k in (*_families(name), key) for option, value in (options.get(k) or {}).items()}


def _families(name: str) -> list[str]:
    return [family for family, members in FAMILIES.items() if name in members]


def _load(kind: str, name: str, table: Mapping[str, Any], group: str = "") -> Callable[..., Any]:
    """Import the class behind a name of the table, an entry point of the group, or "module:Class"."""
    installed = {} if name in table or ":" in name or not group else _entry_points(group)
    module_name, colon, attribute = str(table.get(name, installed.get(name, name))).partition(":")
    if not colon:
        raise ConfigError(unknown(kind, name, [*table, *installed]) + ' Or your own "module:Class".')
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and module_name.startswith(error.name):
            raise ConfigError(f"{kind} {name!r}: there is no module {error.name!r} on the Python path") from error
        if not module_name.startswith("harness."):
            raise ConfigError(f"{kind} {name!r}: {module_name} imports {error.name}, which is not installed") from error
        raise MissingExtra(str(error.name), "pip install 'finetune-harness[local]'") from error
    factory: Callable[..., Any] | None = getattr(module, attribute, None)
    if not callable(factory):
        names = [n for n in vars(module) if n[0].isupper()]
        raise ConfigError(f"{kind} {name!r}: {unknown('class', attribute, names)}")
    return factory


def _entry_points(group: str) -> dict[str, str]:
    return {point.name: point.value for point in importlib.metadata.entry_points(group=group)}


def _call(
    factory: Callable[..., Any],
    key: str,
    options: Mapping[str, Any],
    arguments: tuple[Any, ...],
    settings: Mapping[str, Any],
) -> Any:
    """Call a class with the user's options over `settings`; ConfigError for an option that it does not take."""
    parameters = inspect.signature(factory).parameters
    valid = [name for name in list(parameters)[len(arguments) :] if name not in settings]
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    for option in options:
        if option not in settings and option not in valid and not takes_any:
            raise ConfigError(f"{key}: {unknown('option', str(option), valid)}")
    missing = [
        name
        for name, parameter in list(parameters.items())[len(arguments) :]
        if parameter.default is inspect.Parameter.empty
        and parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        and name not in settings
        and name not in options
    ]
    if missing:
        raise ConfigError(f"{key}: expected a value for {', '.join(missing)}. Add +{key}.{missing[0]}=...")
    try:
        inspect.signature(factory).bind(*arguments, **{**settings, **options})
    except TypeError as error:
        raise ConfigError(f"{key}: {factory.__name__} does not take what it is called with: {error}") from error
    return factory(*arguments, **{**settings, **options})


def _with_options(text: str, options: Mapping[str, Any], separator: str) -> str:
    """Return the text with every option as `key:value` that it does not hold already."""
    parts = [f"{key}:{value}" for key, value in sorted(options.items())]
    return separator.join(part for part in (text, *(p for p in parts if p not in text)) if part)


def _with_attributes(built: object, **values: object) -> None:
    """Give an object of a user's class these attributes, whether it sets, computes or freezes its own."""
    kind = type(built)
    fixed = {name: _constant(value) for name, value in values.items()}
    built.__class__ = type(kind.__name__, (kind,), {**fixed, "__slots__": (), "__module__": kind.__module__})


def _constant(value: object) -> property:
    """Return a property with this value, which an object's own attribute does not hide."""
    return property(lambda _: value, lambda _, __: None)


def _check_protocol(kind: str, name: str, built: object, protocol: type) -> None:
    """Raise a ConfigError unless an object has every member of its protocol, before anything is asked of it."""
    members = [member for member in vars(protocol) if not member.startswith("_")]
    missing = [member for member in members if not hasattr(type(built), member) and member not in _attributes(built)]
    if missing:
        raise ConfigError(
            f"{kind} {name!r}: {type(built).__name__} lacks {', '.join(missing)}. "
            f"What a {kind} needs is in harness.protocols.{protocol.__name__}."
        )


def _attributes(built: object) -> Mapping[str, Any]:
    """Return an object's own attributes; none where it has slots alone, whose names are on its class."""
    return getattr(built, "__dict__", {})
