"""`--dry-run`: what runs would do, what is cached, and an estimate of the time that the rest would take.

Times are estimated from runs in the same store: from those of the same model size if there are any, else scaled by
model size. Without such runs there is no estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from harness import registry
from harness.client import pricing
from harness.client.requests import prompt_tokens
from harness.config import HarnessConfig
from harness.protocols import HostedFineTuner, HostedModel, Model
from harness.stages import finetune, generate
from harness.stages.prepare import prepare
from harness.store.runs import find_runs
from harness.store.stages import Store
from harness.types import Prompt, RunResult
from harness.wording import UNKNOWN, counted


@dataclass(frozen=True, slots=True)
class DryRunPlan:
    """One run: what is cached, what remains to be done, and the seconds that this takes, None where unknown."""

    run_id: str
    to_train: int
    """Training examples; 0 if there is no fine-tune or it is cached."""
    trained: bool
    completions: int
    to_generate: int
    seconds: float | None
    sent: PlannedRequests | None = None
    """The requests to a service; None for a local model."""
    training: str = ""
    """What a service would train on and charge, in words; empty if training is cached or local."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> DryRunPlan:
        """Return a plan from the mapping that `dataclasses.asdict` made of it."""
        sent = values.get("sent")
        return cls(**{**values, "sent": PlannedRequests(**sent) if sent else None})


@dataclass(frozen=True, slots=True)
class PlannedRequests:
    """An estimate of the tokens sent, the most tokens that come back, and their cost in USD, None where unknown."""

    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None


def plan(config: HarnessConfig) -> DryRunPlan:
    """Check everything that a run needs, as the run does, and return what it would do."""
    prepared = prepare(config)
    store = Store(Path(config.store))
    model, fine_tune = prepared.model, prepared.finetune
    trained = fine_tune is not None and finetune.is_trained(fine_tune, store)
    if fine_tune and trained:
        model = registry.model(finetune.train_or_load(fine_tune, store)[0])
    to_train = len(fine_tune.train) if fine_tune and not trained else 0
    n = len(prepared.prompts)
    decoding = prepared.decoding
    prompts = prepared.prompts if to_train else generate.unanswered(model, prepared.prompts, decoding, store)
    seconds = _TimeEstimate(store, prepared.model.parameters).seconds(to_train, len(prompts))
    sent = _planned_requests(prompts, config, model) if isinstance(model, HostedModel) else None
    tuner = fine_tune.tuner if fine_tune and to_train else None
    training = tuner.cost_estimate(fine_tune.train) if fine_tune and isinstance(tuner, HostedFineTuner) else ""
    return DryRunPlan(prepared.run_id, to_train, trained, n, len(prompts), seconds, sent, training)


def print_plans(plans: Sequence[DryRunPlan]) -> None:
    """Print every run once, and the estimated time of all of them."""
    from rich.table import Table
    from rich.text import Text

    from harness.reports.terminal import console

    unique = list({planned.run_id: planned for planned in plans}.values())
    table = Table()
    table.add_column("run", overflow="fold")
    hosted = ("tokens sent, about", "tokens back, at most", "USD, at most") if any(row.sent for row in unique) else ()
    for column in ("fine-tune", "completions\nto make", "about", *hosted):
        table.add_column(column, justify="right", overflow="fold")
    for row in unique:
        training = counted(row.to_train, "example") if row.to_train else "cached" if row.trained else UNKNOWN
        about = "unknown" if row.seconds is None else f"{row.seconds:.0f} s"
        sent = _cells(row.sent) if hosted else ()
        table.add_row(Text(row.run_id), training, f"{row.to_generate:,} of {row.completions:,}", about, *sent)
    out = console()
    out.print(table)
    for row in unique:
        if row.training:
            out.print(f"{row.run_id} trains on {row.training}", markup=False, highlight=False)
    known = [row.seconds for row in unique if row.seconds is not None]
    times = [f"about {sum(known) / 60:.0f} min"] if known else []
    times += [f"{len(unique) - len(known)} of unknown duration"] if len(known) < len(unique) else []
    out.print(f"{counted(len(unique), 'run')}, {' and '.join(times)}, without scoring")


def _planned_requests(prompts: Sequence[Prompt], config: HarnessConfig, model: Model) -> PlannedRequests:
    sent = round(sum(prompt_tokens(prompt) for prompt in prompts))
    received = config.generation.max_tokens * len(prompts)
    price = pricing.of(config.pricing).of(model.identity)
    share = price.batch if price and config.generation.batch else 1.0
    return PlannedRequests(sent, received, None if price is None else share * price.of(sent, received))


def _cells(sent: PlannedRequests | None) -> tuple[str, str, str]:
    if sent is None:
        return UNKNOWN, UNKNOWN, UNKNOWN
    cost = "unknown" if sent.cost_usd is None else f"{sent.cost_usd:.4f}"
    return f"{sent.prompt_tokens:,}", f"{sent.completion_tokens:,}", cost


class _TimeEstimate:
    """Seconds per training example and per completion, measured on the runs of a store."""

    def __init__(self, store: Store, parameters: int | None) -> None:
        results = [run.result for run in find_runs(store.runs, [])]
        alike = [result for result in results if result.parameters == parameters]
        self._results, self._parameters = alike or results, parameters

    def seconds(self, to_train: int, to_generate: int) -> float | None:
        """Return the estimated time of the work; None where no run has been measured."""
        parts = []
        if to_train:
            parts.append((to_train, [_training(result, to_train) for result in self._results]))
        if to_generate:
            parts.append((to_generate, [self._generation(result) for result in self._results]))
        total = 0.0
        for amount, rates in parts:
            known = [rate for rate in rates if rate is not None]
            if not known:
                return None
            total += amount * median(known)
        return total

    def _generation(self, result: RunResult) -> float | None:
        if not result.usage.seconds or not result.usage.n:
            return None
        scale = self._parameters / result.parameters if self._parameters and result.parameters else 1.0
        return scale * result.usage.seconds / result.usage.n


def _training(result: RunResult, n: int) -> float | None:
    """Return the seconds per example of a stored fine-tune; None unless its size is within a factor of four of n."""
    record = result.finetune
    if record is None or not n / 4 <= record.n_train <= 4 * n:
        return None
    return record.seconds / record.n_train
