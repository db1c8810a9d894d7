"""A run before any work: its data read and checked, its model found, and the id that all of its inputs decide."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from harness import registry
from harness.config import FineTuneConfig, FineTuneMethod, HarnessConfig, TaskConfig, TrackingMode
from harness.credentials import has_wandb_login
from harness.errors import ConfigError, require, unknown
from harness.protocols import Metric, Model
from harness.stages import finetune as tuning
from harness.stages import likelihood
from harness.stages.finetune import Tuning
from harness.store.digest import digest
from harness.tasks.audit import audit, fingerprint
from harness.tasks.prompts import render
from harness.tasks.split import subset
from harness.types import Corpus, DatasetRecord, Example, Prompt, SamplingParams


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run before any work: its data, model and metrics, and the id that all of them decide."""

    run_id: str
    corpus: Corpus
    examples: tuple[Example, ...]
    prompts: tuple[Prompt, ...]
    dataset: DatasetRecord
    model: Model
    """As it is before a fine-tune."""
    tuning: Tuning | None
    metrics: tuple[Metric, ...]
    decoding: SamplingParams
    seconds: float


def with_baselines(config: HarnessConfig) -> list[HarnessConfig]:
    """Return the untouched base model under each baseline prompt, then the run itself; a run that is none is alone."""
    if config.finetune.method is FineTuneMethod.none:
        return [config]
    untouched = FineTuneConfig()
    return [
        *(
            replace(config, name=f"{config.model.name}-{prompt.name}", prompt=prompt, finetune=untouched, baselines=[])
            for prompt in config.baselines
        ),
        config,
    ]


def prepare(config: HarnessConfig) -> Prepared:
    """Read and check the data, find the model and the metrics, and name the run; nothing is generated."""
    start = time.perf_counter()
    _check(config)
    corpus = _corpus(config.task)
    examples = subset(corpus.validation, config.task.n_validation, config.seed)
    shots = subset(corpus.train, config.prompt.shots, config.seed) if config.prompt.shots else ()
    prompts = tuple(render(example, config.task, config.prompt, shots) for example in examples)
    model = registry.model(config.model)
    metrics = tuple(
        registry.metric(name, config.metrics.options.get(name, {}), config.task.labels, model.identity.tokenizer)
        for name in config.metrics.names
    )
    likelihood.teller(model, metrics)  # refuses a metric that this model cannot be scored with
    planned = tuning.plan(config, corpus, shots)
    trained_on = (*shots, *(planned.examples if planned else ()))
    found = audit(trained_on, examples, config.generation.max_tokens, allow_leakage=config.task.allow_leakage)
    dataset = DatasetRecord(
        name=corpus.name,
        source=corpus.source,
        licence=corpus.licence,
        fingerprint=fingerprint(examples),
        n_validation=len(examples),
        n_train_pool=len(corpus.train),
        notices=(*corpus.notices, *found, *(planned.notices if planned else ())),
    )
    decoding = SamplingParams(
        max_tokens=config.generation.max_tokens,
        temperature=config.generation.temperature,
        top_p=config.generation.top_p,
        stop=tuple(config.task.stop),
        stop_at=config.task.stop_at,
        seed=config.seed,
    )
    of_model = planned.inputs if planned else model.identity
    decided = [dataset.fingerprint, prompts, of_model, decoding, [m.signature for m in metrics], config.stats]
    return Prepared(
        run_id=f"{_slug(config.name)}-{digest([*decided, config.task.primary_metric])[:8]}",
        corpus=corpus,
        examples=examples,
        prompts=prompts,
        dataset=dataset,
        model=model,
        tuning=planned,
        metrics=metrics,
        decoding=decoding,
        seconds=time.perf_counter() - start,
    )


_CORPORA: dict[str, Corpus] = {}
"""Read once a process: the jobs of a sweep share a task."""


def _corpus(task: TaskConfig) -> Corpus:
    key = digest([task, [_stamp(getattr(task, name, None)) for name in ("path", "train_path")]])
    if key not in _CORPORA:
        _CORPORA[key] = registry.dataset(task).load()
    return _CORPORA[key]


def _stamp(path: str | None) -> tuple[str, int, int] | None:
    """Say which file a path is now: a long process, such as pytest, may change directory, or the file."""
    if path is None or not (file := Path(path)).is_file():
        return None
    return str(file.resolve()), file.stat().st_mtime_ns, file.stat().st_size


def _check(config: HarnessConfig) -> None:
    """Refuse, before any work, settings that do not go together."""
    names, primary = config.metrics.names, config.task.primary_metric
    if primary not in names:
        raise ConfigError(f"task.primary_metric: {unknown('metric of metrics.names', primary, names)}")
    if len(set(names)) < len(names):
        raise ConfigError(f"metrics.names: expected each metric once, got {', '.join(names)}")
    if config.tracking.mode is TrackingMode.online and not has_wandb_login():
        raise ConfigError("tracking=wandb_online needs a login: run `wandb login`, or take tracking=wandb_offline")
    if config.tracking.report:
        require("wandb_workspaces", "wandb_report")


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".-") or "run"
