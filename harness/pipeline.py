"""The whole flow, read top to bottom: data -> model -> completions -> scores -> record -> leaderboard -> reports."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from harness import registry
from harness.analysis import leaderboard
from harness.analysis.verdict import Aim, with_incumbent
from harness.client import pricing
from harness.client.pricing import Budget, LocalPrice, Price
from harness.config import HarnessConfig, ReportConfig, TrackingConfig
from harness.credentials import redacted
from harness.errors import StoreError
from harness.progress import say
from harness.protocols import HostedModel, Model
from harness.reports import Sink
from harness.reports.folders import placed
from harness.reports.html.page import PageSink
from harness.reports.markdown.report import MarkdownSink
from harness.reports.terminal.leaderboard import TerminalSink
from harness.reports.wandb import WandbSink
from harness.stages import generate, likelihood, preflight, score
from harness.stages.batch_generate import in_batches
from harness.stages.finetune import train_or_load
from harness.stages.prepare import Prepared, prepare
from harness.stages.rendering import LIMITS
from harness.stages.score import Scored
from harness.store.runs import SCHEMA_VERSION, StoredRun, load_run, save_record, save_run
from harness.store.stages import Store
from harness.tasks.prompts import plain_text
from harness.tasks.samples import sample_warnings
from harness.types import Completion, DatasetRecord, FineTuneRecord, FinishReason, RunResult, StageRecord, Usage
from harness.wording import counted

PACKAGES = ("finetune-harness", "torch", "transformers", "peft", "sentence-transformers", "sacrebleu", "rouge-score")


@dataclass(frozen=True, slots=True)
class _Answers:
    """The completions of a run, the model that they are from, its fine-tune, and the records of these stages."""

    model: Model
    finetune: FineTuneRecord | None
    completions: tuple[Completion, ...]
    stages: tuple[StageRecord, ...]
    price: Price | LocalPrice | None


def run(config: HarnessConfig, command: str) -> StoredRun:
    """Carry one config through to a stored run; what is already in the store is reused."""
    prepared = prepare(config)
    store = Store(Path(config.store))
    folder = store.runs / prepared.run_id
    say_notices(prepared.dataset)
    if stored := _finished(folder):
        say(f"nothing to do: run {prepared.run_id} is complete (0 completions made, {stored.result.usage.n} reused)")
        return _relabelled(stored, config)
    preflight.require_settings(prepared, config, store)
    answers = _answer(prepared, store, config)
    scored = score.score(prepared.metrics, prepared.examples, answers.completions, config.stats, store)
    computed, stage = counted(scored.stage.n_computed, "metric"), scored.stage
    say(f"score: {computed} computed, {stage.n_cached} reused, {stage.seconds:.1f} s")
    result = _result(prepared, answers, scored, config, command)
    for warning in result.warnings:
        say(f"warning: {warning}")
    shown = (plain_text(prompt) for prompt in prepared.prompts)
    predictions = [replace(row, prompt=text) for row, text in zip(scored.predictions, shown, strict=True)]
    return save_run(folder, result, predictions, scored.stats)


def _result(prepared: Prepared, answers: _Answers, scored: Scored, config: HarnessConfig, command: str) -> RunResult:
    return RunResult(
        schema_version=SCHEMA_VERSION,
        run_id=prepared.run_id,
        name=config.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=redacted(command),
        task=config.task.name,
        primary_metric=prepared.primary_metric,
        config=redacted(asdict(config)),
        model=answers.model.identity,
        parameters=answers.model.parameters,
        dataset=prepared.dataset,
        usage=_usage(answers.completions, answers.price, config.generation.batch),
        metrics=tuple(
            replace(scores, configured_as=name)
            for scores, name in zip(scored.metrics, config.metrics.names, strict=True)
        ),
        stages=(*answers.stages, scored.stage),
        versions=_versions(),
        finetune=answers.finetune,
        warnings=(*_warnings(prepared, answers), *scored.warnings),
        served=tuple(dict.fromkeys(c.served for c in answers.completions if c.served)),
        shutdown_date=answers.model.shutdown_date() if isinstance(answers.model, HostedModel) else None,
    )


def _warnings(prepared: Prepared, answers: _Answers) -> Iterator[str]:
    """Yield what a reader of the scores has to know of the references and the completions."""
    yield from (f"{n.count:,} {n.message}" for n in prepared.dataset.notices if n.code in LIMITS)
    yield from generate.completion_warnings(answers.completions, prepared.decoding)
    yield from sample_warnings(prepared.examples, answers.completions)


def say_notices(dataset: DatasetRecord) -> None:
    """Print what a user should know about the data of a run, before any work; the runs of a sweep say it once."""
    for notice in dataset.notices:
        line = f"data: {notice.count:,} {notice.message}"
        if (dataset.fingerprint, line) not in _SAID:
            _SAID.add((dataset.fingerprint, line))
            say(line)


_SAID: set[tuple[str, str]] = set()
"""Notices that this process has printed."""


def show(
    runs: Sequence[StoredRun], report: ReportConfig, tracking: TrackingConfig, as_json: bool, named: bool = False
) -> None:
    """Make the leaderboards of these runs and write them to the terminal, the reports and W&B.

    `named` says that the user chose the name of the report; see `harness.reports.folders.placed`.
    """
    store, shown = runs[0].folder.parent.parent, []
    runs = with_incumbent(runs, store / "runs", report.incumbent)
    boards = leaderboard.by_task(runs, registry.stored_metric, aim=Aim.of(report))
    for board, here in zip(boards, placed(boards, report, named), strict=True):
        sinks: tuple[Sink, ...] = (MarkdownSink(here), PageSink(here), WandbSink(tracking, store))
        wrote = [str(entry.run.folder / "results.json") for entry in board.entries]
        wrote += [path for sink in sinks for path in sink.write(board)]
        shown.append({**leaderboard.as_json(board), "wrote": wrote})
        if not as_json:
            TerminalSink().write(board)
            print("wrote:", *wrote, sep="\n  ")
    if as_json:
        print(json.dumps(shown, indent=2))


def _answer(prepared: Prepared, store: Store, config: HarnessConfig) -> _Answers:
    """Fine-tune where the config says so, generate, and measure the likelihoods that a metric reads."""
    model, record, stages = prepared.model, None, [_data_stage(prepared)]
    if prepared.finetune:
        model_config, record, stage = train_or_load(prepared.finetune, store)
        model = registry.model(model_config)
        stages.append(stage)
        done = "reused" if stage.n_cached else "done"
        say(f"finetune: {done}, {counted(record.n_train, 'example')}, {record.seconds:.1f} s")
    prices, generation = pricing.of(config.pricing), config.generation
    price = prices.of(model.identity)
    budget = Budget(price, generation.max_cost, generation.batch)
    generator = in_batches(model, store, generation.poll_seconds) if generation.batch else model
    completions, stage = generate.complete(generator, prepared.prompts, prepared.decoding, store, budget)
    stages.append(stage)
    say(f"generate: {counted(stage.n_computed, 'completion')} made, {stage.n_cached:,} reused, {stage.seconds:.1f} s")
    if measurable := likelihood.likelihood_model(model, prepared.metrics):
        pairs = likelihood.pairs(prepared.metrics, prepared.examples, prepared.prompts)
        completions, stage = likelihood.measure(measurable, pairs, completions, store)
        stages.append(stage)
        measured = counted(stage.n_computed, "completion")
        say(f"likelihood: {measured} measured, {stage.n_cached:,} reused, {stage.seconds:.1f} s")
    return _Answers(model, record, completions, tuple(stages), price or prices.machine(model.identity))


def _finished(folder: Path) -> StoredRun | None:
    """Return a complete run without failed completions, or None; running again repairs damage and retries failures."""
    if not (folder / "results.json").exists():
        return None
    try:
        stored = load_run(folder)
    except StoreError as error:
        say(f"warning: {error}")
        return None
    return None if stored.result.usage.errors else stored


def _relabelled(stored: StoredRun, config: HarnessConfig) -> StoredRun:
    """Return a complete run under the names that the config gives to its task and its model now."""
    if stored.result.task == config.task.name and stored.result.config["model"]["name"] == config.model.name:
        return stored
    return save_record(stored.folder, replace(stored.result, task=config.task.name, config=redacted(asdict(config))))


def _usage(completions: Sequence[Completion], price: Price | LocalPrice | None, in_batches: bool) -> Usage:
    seconds = sum(c.wall_seconds or 0.0 for c in completions)
    cost = price.total(completions, in_batches) if isinstance(price, Price) else None
    prompt = [c.prompt_tokens for c in completions if c.prompt_tokens is not None]
    generated = [c.completion_tokens for c in completions if c.completion_tokens is not None]
    return Usage(
        n=len(completions),
        errors=sum(c.error is not None for c in completions),
        truncated=sum(c.finish_reason is FinishReason.LENGTH for c in completions),
        prompt_tokens=sum(prompt) if prompt else None,
        completion_tokens=sum(generated) if generated else None,
        seconds=seconds,
        cost_usd=price.hours(seconds) if isinstance(price, LocalPrice) else cost,
        price=str(price or ""),
    )


def _data_stage(prepared: Prepared) -> StageRecord:
    inputs = {"fingerprint": prepared.dataset.fingerprint}
    n = len(prepared.examples)
    return StageRecord("data", prepared.dataset.fingerprint[:16], inputs, prepared.seconds, n, 0)


def _versions() -> dict[str, str]:
    versions = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
