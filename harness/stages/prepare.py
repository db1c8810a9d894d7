"""The preparation of a run: its data read and checked, its model located, and its id derived from all inputs.

Nothing is trained or generated here, so that a wrong setting costs nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness import registry
from harness.config import (
    FineTuneConfig,
    FineTuneMethod,
    HarnessConfig,
    PromptStyle,
    ReplayModelConfig,
    TaskConfig,
    TrackingMode,
)
from harness.config.model import is_sampled
from harness.config.task import AUTO, POOL
from harness.credentials import has_wandb_login
from harness.errors import ConfigError, require, unknown
from harness.protocols import LookupModel, Metric, Model
from harness.stages.finetune import PlannedFineTune, plan_finetune
from harness.stages.likelihood import likelihood_model
from harness.stages.readability import check_readable
from harness.stages.rendering import reference_notices, rendered, stop_sequences
from harness.store.digest import digest
from harness.tasks.audit import audit, fingerprint
from harness.tasks.prompts import prompt_notices, render
from harness.tasks.samples import drawn
from harness.tasks.split import n_scored, subset
from harness.types import Corpus, DatasetRecord, Example, Notice, Prompt, SamplingParams


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run before any work: its data, model and metrics, and the id that is derived from them."""

    run_id: str
    corpus: Corpus
    examples: tuple[Example, ...]
    prompts: tuple[Prompt, ...]
    dataset: DatasetRecord
    model: Model
    """The base model, before a fine-tune."""
    finetune: PlannedFineTune | None
    metrics: tuple[Metric, ...]
    """In the order of `metrics.names`."""
    primary_metric: str
    """Its name on the leaderboard."""
    decoding: SamplingParams
    seconds: float


def with_baselines(config: HarnessConfig) -> list[HarnessConfig]:
    """Return the run with, before it, its untouched base model under each baseline prompt where it is a fine-tune."""
    if config.finetune.method is FineTuneMethod.none:
        return [config]
    config = replace(config, task=_task(config))
    untouched = FineTuneConfig()
    return [
        *(
            replace(config, name=f"{config.model.name}-{prompt.name}", prompt=prompt, finetune=untouched, baselines=[])
            for prompt in config.baselines
        ),
        config,
    ]


def prepare(config: HarnessConfig) -> Prepared:
    """Read and check the data, locate the model and the metrics, and derive the run's id; nothing is generated."""
    start = time.perf_counter()
    _check(config)
    config = replace(config, task=_task(config))
    corpus = _corpus(config.task)
    examples, shots = _chosen(config, corpus)
    model = registry.model(config.model)
    _check_samples(config, model)
    prompts = rendered(model, [render(example, config.task, config.prompt, shots) for example in examples])
    metrics, primary = _metrics(config, model)
    planned = plan_finetune(config, corpus, shots, model)
    trained_on = (*shots, *(planned.examples if planned else ()))
    decoding = _sampling_params(config, stop_sequences(config.task, config.prompt, examples))
    findings = (
        *_setting_notices(config, corpus, len(examples)),
        *audit(trained_on, examples, config.task.allow_leakage),
        *prompt_notices(examples, config.prompt, shots),
        *reference_notices(model, examples, config.task, config.prompt, decoding),
        *check_readable(metrics, examples, primary),
        *(planned.notices if planned else ()),
    )
    examples, prompts = drawn(examples, prompts, config.generation.n)
    dataset = _dataset_record(corpus, examples, findings, config.generation.n)
    model_key = planned.inputs if planned else model.identity
    decides = [dataset.fingerprint, prompts, model_key, decoding, [m.signature for m in metrics], config.stats]
    return Prepared(
        run_id=f"{_slug(config.name)}-{digest([*decides, primary])[:8]}",
        corpus=corpus,
        examples=examples,
        prompts=prompts,
        dataset=dataset,
        model=model,
        finetune=planned,
        metrics=metrics,
        primary_metric=primary,
        decoding=decoding,
        seconds=time.perf_counter() - start,
    )


def _task(config: HarnessConfig) -> TaskConfig:
    """Return the task with `n_validation` as it is meant in this run.

    Every example that is not trained on is the validation pool where a run trains or has few-shot examples. A file with
    its own predictions is scored whole.
    """
    task, trains = config.task, config.prompt.shots or config.finetune.method is not FineTuneMethod.none
    if trains and task.n_validation is None:
        return replace(task, n_validation=POOL)
    replays = isinstance(config.model, ReplayModelConfig) and config.model.path in (None, config.model.task_path)
    return replace(task, n_validation=None) if replays and not trains and task.n_validation == AUTO else task


def _chosen(config: HarnessConfig, corpus: Corpus) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Return the examples that are scored, and those that are shown as shots."""
    n, n_shots, seed = config.task.n_validation, config.prompt.shots, config.task.sample_seed
    examples = subset(corpus.validation, n_scored(n, len(corpus.validation)), seed, "task.n_validation")
    return examples, subset(corpus.train, n_shots, seed, "prompt.shots") if n_shots else ()


def _metrics(config: HarnessConfig, model: Model) -> tuple[tuple[Metric, ...], str]:
    """Return the metrics of a run and the name of the primary one; ConfigError where the model cannot serve them."""
    metrics = registry.metrics(config.metrics, config.task.labels, model.identity.tokenizer)
    likelihood_model(model, metrics)  # raises where a metric needs likelihoods that the model does not give
    return metrics, _primary(config, metrics)


def _setting_notices(config: HarnessConfig, corpus: Corpus, n: int) -> Iterator[Notice]:
    """Yield a notice where a validation file is scored in part unasked, and where a setting reaches no prompt."""
    said = any(notice.code == "split" for notice in corpus.notices)
    if config.task.n_validation == AUTO and not said and n < len(corpus.validation):
        message = f"validation examples: {n} scored; task.n_validation=null scores them all"
        yield Notice("scored", message, len(corpus.validation))
    if config.prompt.style is PromptStyle.plain and getattr(config.model, "template_options", {}):
        yield Notice("template_unused", "plain prompts, which model.template_options do not reach; use prompt=chat", n)


def _dataset_record(corpus: Corpus, examples: Sequence[Example], findings: Sequence[Notice], n: int) -> DatasetRecord:
    return DatasetRecord(
        name=corpus.name,
        source=corpus.source,
        licence=corpus.licence,
        fingerprint=fingerprint(examples),
        n_validation=len(examples) // n,
        n_train_pool=len(corpus.train),
        notices=(*corpus.notices, *findings),
        n_samples=n,
    )


_CORPORA: dict[str, Corpus] = {}
"""Corpora by what identifies them, read once per process: the jobs of a sweep share a task."""


def _corpus(task: TaskConfig) -> Corpus:
    key = digest([asdict(task), [_stamp(getattr(task, name, None)) for name in ("path", "train_path")]])
    if key not in _CORPORA:
        _CORPORA[key] = registry.dataset(task).load()
    return _CORPORA[key]


def _stamp(path: str | None) -> tuple[str, int, int, int] | None:
    """Return what identifies a file now: a long process, such as pytest, may change directory, or the file."""
    if path is None or not (file := Path(path)).is_file():
        return None
    stat = file.stat()
    return str(file.resolve()), stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size


def _check(config: HarnessConfig) -> None:
    """Raise a ConfigError for settings that cannot be combined."""
    if config.tracking.mode is TrackingMode.online and not has_wandb_login():
        raise ConfigError("tracking=wandb_online needs a login: run `wandb login`, or use tracking=wandb_offline")
    if config.tracking.mode is not TrackingMode.disabled:
        require("wandb", "wandb", instead="tracking=none")
    if config.tracking.report:
        require("wandb_workspaces", "wandb_report", instead="tracking.report=false")


def _check_samples(config: HarnessConfig, model: Model) -> None:
    """Raise a ConfigError where all samples of a prompt would be one text; completions that exist are what they are."""
    n, extra = config.generation.n, getattr(config.model, "extra", {})
    if n == 1 or isinstance(model, LookupModel):
        return
    if not is_sampled(config.model, config.generation.temperature):
        raise ConfigError(
            f"generation.n={n}: expected a temperature above 0, got greedy decoding, which gives the same text {n} "
            "times. Add generation=sampling or generation.temperature=0.7, or leave generation.n out."
        )
    if extra.get("seed") is not None:
        raise ConfigError(
            f"model.extra.seed={extra['seed']}: expected no seed of your own with generation.n={n}, because the "
            "samples of a prompt differ by their seeds. Set generation.seed instead."
        )


def _sampling_params(config: HarnessConfig, stop: tuple[str, ...]) -> SamplingParams:
    return SamplingParams(
        max_tokens=config.generation.max_tokens,
        temperature=config.generation.temperature,
        top_p=config.generation.top_p,
        stop=stop,
        stop_at=config.task.stop_at,
        seed=config.generation.seed if is_sampled(config.model, config.generation.temperature) else 0,
        answer_after=config.task.answer_after,
    )


def _primary(config: HarnessConfig, metrics: Sequence[Metric]) -> str:
    """Return the name of the primary metric, which the config may call by that name or as `metrics.names` does."""
    primary = config.task.primary_metric
    names = {name: metric.name for name, metric in zip(config.metrics.names, metrics, strict=True)}
    if primary in names.values():
        return primary
    if primary not in names:
        raise ConfigError(f"task.primary_metric: {unknown('metric of metrics.names', primary, names)}")
    return names[primary]


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".-") or "run"
