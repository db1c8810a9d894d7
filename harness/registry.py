"""Literal tables from the names in the config to the classes behind them, imported on use.

Any name may also be your own "module:Class". It is called with the keyword options of its config: a dataset
with its task config, a model with its model config, a metric with `metrics.options.<name>`.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from harness.config import FineTuneConfig, ModelConfig, OpenAIFineTuneConfig, SupervisedConfig, TaskConfig
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
    "openai": "harness.finetune.openai:OpenAIFineTuner",
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


def dataset(config: TaskConfig) -> Dataset:
    """Return the dataset that the task names, not yet read."""
    factory = _find("dataset", config.dataset, DATASETS)
    accepted = inspect.signature(factory).parameters
    options = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.name in accepted}
    built: Dataset = factory(**options)
    return built


def model(config: ModelConfig) -> Model:
    """Return the model that the config names, its weights not yet in memory."""
    built: Model = _find("model backend", config.backend, MODELS)(config)
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
        mend = "model=openai model.id=MODEL" if hosted else "finetune=openai"
        raise ConfigError(f"finetune={config.method} does not train models of the {base.backend} backend: take {mend}")
    built: FineTuner = _find("fine-tuner", base.backend, FINETUNERS)(config, base)
    return built


def metric(name: str, options: Mapping[str, Any], labels: Sequence[str] = (), tokenizer: str = "") -> Metric:
    """Return the metric called `name`, with the user's options over its own.

    `labels` are a classification's and `tokenizer` is the digest of the model's; both go to the metrics that take them.
    """
    own: Mapping[str, Any] = {}
    path = name
    if name.startswith("evaluate:"):
        path, own = "harness.metrics.hf_evaluate:HubMetric", {"path": name.removeprefix("evaluate:")}
    elif name in METRICS:
        path, own = METRICS[name]
    factory = _find("metric", path, METRICS)
    accepted = inspect.signature(factory).parameters
    given = {"labels": labels, "tokenizer": tokenizer}
    own = {**own, **{key: value for key, value in given.items() if value and key in accepted}}
    try:
        built: Metric = factory(**{**own, **options})
    except TypeError as error:
        valid = [p for p in accepted if p not in own]
        raise ConfigError(f"metrics.options.{name}: {error}. Valid options: {', '.join(valid) or 'none'}.") from error
    return built


def stored_metric(run: StoredRun, name: str) -> Metric:
    """Return a metric as the stored run was scored with it."""
    config = run.result.config
    options = config["metrics"]["options"].get(name, {})
    return metric(name, options, config["task"]["labels"], run.result.model.tokenizer)


def _find(kind: str, name: str, table: Mapping[str, Any]) -> Any:
    module_name, colon, attribute = str(table.get(name, name)).partition(":")
    if not colon:
        raise ConfigError(unknown(kind, name, table) + ' Or your own "module:Class".')
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and module_name.startswith(error.name):
            raise ConfigError(f"{kind} {name!r}: there is no module {error.name!r} on the Python path") from error
        raise MissingExtra(str(error.name), "pip install 'finetune-harness[local]'") from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        names = [n for n in vars(module) if n[0].isupper()]
        raise ConfigError(f"{kind} {name!r}: {unknown('class', attribute, names)}") from error
