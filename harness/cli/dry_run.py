"""`--dry-run`: what runs would do, what is cached, and an estimate of the time that the rest would take.

It refuses what the run would refuse. Times are those of runs in the same store that did the same kind of work
(`harness.cli.durations`), and unknown where there is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from harness import registry
from harness.cli.durations import Durations
from harness.client import pricing
from harness.client.requests import prompt_tokens
from harness.config import HarnessConfig
from harness.pipeline import say_notices
from harness.protocols import HostedFineTuner, HostedModel, Model
from harness.stages import finetune, generate, likelihood, preflight
from harness.stages.finetune import PlannedFineTune
from harness.stages.prepare import Prepared, prepare
from harness.store.digest import digest
from harness.store.stages import Store
from harness.types import Prompt
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
    """Prompts that are sent; equal ones are sent once."""
    seconds_training: float | None
    seconds_generating: float | None
    """Likelihoods are part of it."""
    to_measure: int = 0
    """Texts whose likelihood a metric reads and that is not stored yet."""
    sent: PlannedRequests | None = None
    """The requests to a service; None for a local model."""
    training: str = ""
    """What a service would train on and charge, in words; empty if training is cached or local."""
    training_key: str = ""
    """Equal for the runs that share a fine-tune."""
    generation_key: str = ""
    """Equal for the runs that share all of their completions."""
    shared: bool = False
    """Whether the fine-tune is counted at an earlier run."""

    @property
    def seconds(self) -> float | None:
        """The seconds of all that remains to be done, without scoring; None where a part is unknown."""
        if self.seconds_training is None or self.seconds_generating is None:
            return None
        return self.seconds_training + self.seconds_generating

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
    say_notices(prepared.dataset)
    store = Store(Path(config.store))
    preflight.require_settings(prepared, config, store)
    model, fine_tune = prepared.model, prepared.finetune
    trained = fine_tune is not None and finetune.is_trained(fine_tune, store)
    if fine_tune and trained:
        model = registry.model(finetune.train_or_load(fine_tune, store)[0])
    to_train = fine_tune if fine_tune and not trained else None
    prompts = _to_send(prepared, model, store, to_train)
    to_measure = _to_measure(prepared, model, store, to_train)
    preflight.require_model(config, model, prompts, prepared.decoding, to_train)
    tuner = to_train.tuner if to_train else None
    durations, n_train = Durations.of(config, prepared.model.parameters, store), len(to_train.train) if to_train else 0
    model_key = fine_tune.inputs if fine_tune else model.identity
    return DryRunPlan(
        prepared.run_id,
        n_train,
        trained,
        len(prepared.prompts),
        len(prompts),
        seconds_training=durations.training(n_train),
        seconds_generating=durations.generating(len(prompts), to_measure),
        to_measure=to_measure,
        sent=_planned_requests(prompts, config, model, to_train) if isinstance(model, HostedModel) else None,
        training=tuner.cost_estimate(to_train.train) if to_train and isinstance(tuner, HostedFineTuner) else "",
        training_key=digest(to_train.inputs) if to_train else "",
        generation_key=digest([model_key, prepared.decoding, prepared.prompts, to_measure]),
    )


def print_plans(plans: Sequence[DryRunPlan], as_json: bool = False) -> None:
    """Print every run once, and the estimated time of all of them; work that runs share is counted once."""
    unique = _counted_once(list({planned.run_id: planned for planned in plans}.values()))
    if as_json:
        print(json.dumps([{**asdict(row), "seconds": row.seconds} for row in unique], indent=2))
        return
    from rich.table import Table
    from rich.text import Text

    from harness.reports.terminal import console

    table = Table()
    table.add_column("run", overflow="fold")
    hosted = any(row.sent for row in unique)
    likelihoods = any(row.to_measure for row in unique)
    titles = ["fine-tune", "completions\nto make", *(["likelihoods\nto measure"] if likelihoods else []), "about"]
    for column in [*titles, *(("tokens sent,\nabout", "tokens back,\nat most", "USD,\nup to about") if hosted else ())]:
        table.add_column(column, justify="right", overflow="fold")
    for row in unique:
        cells = [_training(row), f"{row.to_generate:,} of {row.completions:,}"]
        cells += [f"{row.to_measure:,}"] if likelihoods else []
        cells += ["unknown" if row.seconds is None else _duration(row.seconds)]
        table.add_row(Text(row.run_id), *cells, *(_cells(row.sent) if hosted else ()))
    out = console()
    out.print(table)
    for row in unique:
        if row.training:
            out.print(f"{row.run_id} trains on {row.training}", markup=False, highlight=False)
    out.print(_total(unique), markup=False, highlight=False)


def _to_send(prepared: Prepared, model: Model, store: Store, to_train: PlannedFineTune | None) -> list[Prompt]:
    """Return the prompts that are sent: those without a stored completion, equal ones once."""
    prompts = prepared.prompts
    missing = prompts if to_train else generate.unanswered(model, prompts, prepared.decoding, store)
    return list({generate.prompt_key(prompt): prompt for prompt in reversed(missing)}.values())[::-1]


def _to_measure(prepared: Prepared, model: Model, store: Store, to_train: PlannedFineTune | None) -> int:
    pairs = likelihood.pairs(prepared.metrics, prepared.examples, prepared.prompts)
    if not any(pairs):
        return 0
    return sum(map(len, pairs)) if to_train else likelihood.unmeasured(model, pairs, store)


def _planned_requests(
    prompts: Sequence[Prompt], config: HarnessConfig, model: Model, to_train: PlannedFineTune | None
) -> PlannedRequests:
    sent = round(sum(prompt_tokens(prompt) for prompt in prompts))
    received = config.generation.max_tokens * len(prompts)
    price = None if to_train else pricing.of(config.pricing).of(model.identity)  # a tuned model has another price
    share = price.batch if price and config.generation.batch else 1.0
    return PlannedRequests(sent, received, None if price is None else share * price.of(sent, received))


def _counted_once(plans: Sequence[DryRunPlan]) -> list[DryRunPlan]:
    """Return the plans with a fine-tune or a set of completions that several share left to the first of them."""
    seen: set[str] = set()
    counted_once = []
    for row in plans:
        if row.training_key and row.training_key in seen:
            row = replace(row, seconds_training=0.0, training="", shared=True)
        if row.generation_key and row.generation_key in seen:
            sent = row.sent and replace(row.sent, prompt_tokens=0, completion_tokens=0, cost_usd=0.0)
            row = replace(row, to_generate=0, to_measure=0, seconds_generating=0.0, sent=sent)
        seen |= {row.training_key, row.generation_key}
        counted_once.append(row)
    return counted_once


def _training(row: DryRunPlan) -> str:
    if row.to_train:
        return "shared" if row.shared else counted(row.to_train, "example")
    return "cached" if row.trained else UNKNOWN


def _total(plans: Sequence[DryRunPlan]) -> str:
    """Return how many runs there are, and how long they take: all of it, or the part that is known."""
    runs, known = counted(len(plans), "run"), [row.seconds for row in plans if row.seconds is not None]
    n_unknown = len(plans) - len(known)
    if not n_unknown:
        return f"{runs}, about {_duration(sum(known))}, without scoring"
    if not any(known):
        rest = "all stored" if known else ""
        return f"{runs}, {n_unknown} of unknown duration{f', the others {rest}' if rest else ''}, without scoring"
    return f"{runs}, about {_duration(sum(known))} and {n_unknown} of unknown duration, without scoring"


def _duration(seconds: float) -> str:
    if seconds >= 120:
        return f"{seconds / 60:,.0f} min"
    return f"{seconds:.0f} s" if seconds == 0 or seconds >= 1 else "1 s"


def _cells(sent: PlannedRequests | None) -> tuple[str, str, str]:
    if sent is None:
        return UNKNOWN, UNKNOWN, UNKNOWN
    cost = "unknown" if sent.cost_usd is None else f"{sent.cost_usd:.4f}"
    return f"{sent.prompt_tokens:,}", f"{sent.completion_tokens:,}", cost
