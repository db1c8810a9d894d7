"""What runs would do, what is there already, and about how long the rest would take: before any of it is done.

Times are estimated from runs in the same store: of the same model size where there are any, scaled by size where not.
Where nothing was measured yet there is no estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from harness import pricing, registry
from harness.client.requests import prompt_tokens
from harness.config import HarnessConfig
from harness.protocols import HostedFineTuner, HostedModel, Model
from harness.stages import finetune, generate
from harness.stages.prepare import prepare
from harness.store.runs import find_runs
from harness.store.stages import Store
from harness.types import Prompt, RunResult


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: what of it is stored, what is to do, and the seconds that this takes, None where unknown."""

    run_id: str
    to_train: int
    """Training examples; 0 where there is no fine-tune or it is done."""
    trained: bool
    completions: int
    to_generate: int
    seconds: float | None
    sent: Sent | None = None
    """What a service would be sent; None where the model runs here."""
    training: str = ""
    """What a service would train on and charge, in words; nothing where training is done, or done here."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Plan:
        """Return the plan that `dataclasses.asdict` took apart."""
        sent = values.get("sent")
        return cls(**{**values, "sent": Sent(**sent) if sent else None})


@dataclass(frozen=True, slots=True)
class Sent:
    """About how many tokens go to a service and at most come back, and the USD that they cost; None where unknown."""

    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None


def plan(config: HarnessConfig) -> Plan:
    """Read and check everything that a run needs, and return what it would do."""
    prepared = prepare(config)
    store = Store(Path(config.store))
    model, planned = prepared.model, prepared.finetune
    trained = planned is not None and finetune.is_trained(planned, store)
    if planned and trained:
        model = registry.model(finetune.train_or_load(planned, store)[0])
    to_train = len(planned.train) if planned and not trained else 0
    n = len(prepared.prompts)
    decoding = prepared.decoding
    wanted = prepared.prompts if to_train else generate.unanswered(model, prepared.prompts, decoding, store)
    seconds = _Measured(store, prepared.model.parameters).seconds(to_train, len(wanted))
    sent = _sent(wanted, config, model) if isinstance(model, HostedModel) else None
    tuner = planned.tuner if planned and to_train else None
    training = tuner.cost_estimate(planned.train) if planned and isinstance(tuner, HostedFineTuner) else ""
    return Plan(prepared.run_id, to_train, trained, n, len(wanted), seconds, sent, training)


def print_plans(plans: Sequence[Plan]) -> None:
    """Print each run once, and the time that all of them would take."""
    from rich.table import Table
    from rich.text import Text

    from harness.reports.terminal import console

    unique = list({each.run_id: each for each in plans}.values())
    table = Table()
    table.add_column("run", overflow="fold")
    hosted = ("tokens sent, about", "tokens back, at most", "USD, at most") if any(e.sent for e in unique) else ()
    for column in ("fine-tune", "completions\nto make", "about", *hosted):
        table.add_column(column, justify="right", overflow="fold")
    for each in unique:
        training = f"{each.to_train:,} examples" if each.to_train else "done" if each.trained else "–"
        about = "unknown" if each.seconds is None else f"{each.seconds:.0f} s"
        sent = _cells(each.sent) if hosted else ()
        table.add_row(Text(each.run_id), training, f"{each.to_generate:,} of {each.completions:,}", about, *sent)
    out = console()
    out.print(table)
    for each in unique:
        if each.training:
            out.print(f"{each.run_id} trains on {each.training}", markup=False, highlight=False)
    known = [each.seconds for each in unique if each.seconds is not None]
    told = [f"about {sum(known) / 60:.0f} min"] if known else []
    told += [f"{len(unique) - len(known)} of unknown length"] if len(known) < len(unique) else []
    out.print(f"{len(unique)} run{'s' * (len(unique) != 1)}, {' and '.join(told)}, scoring not counted")


def _sent(prompts: Sequence[Prompt], config: HarnessConfig, model: Model) -> Sent:
    asked = round(sum(prompt_tokens(prompt) for prompt in prompts))
    back = config.generation.max_tokens * len(prompts)
    price = pricing.of(config.pricing).of(model.identity)
    share = price.batch if price and config.generation.batch else 1.0
    return Sent(asked, back, None if price is None else share * price.of(asked, back))


def _cells(sent: Sent | None) -> tuple[str, str, str]:
    if sent is None:
        return "–", "–", "–"
    cost = "unknown" if sent.cost_usd is None else f"{sent.cost_usd:.4f}"
    return f"{sent.prompt_tokens:,}", f"{sent.completion_tokens:,}", cost


class _Measured:
    """Seconds by training example and by completion, from the runs in a store."""

    def __init__(self, store: Store, parameters: int | None) -> None:
        results = [run.result for run in find_runs(store.runs, [])]
        alike = [result for result in results if result.parameters == parameters]
        self._results, self._parameters = alike or results, parameters

    def seconds(self, to_train: int, to_generate: int) -> float | None:
        """Return the time that the work takes; None where no run has shown it."""
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
    """Return the seconds by example of the stored fine-tune whose size is within a factor of four of n."""
    record = result.finetune
    if record is None or not n / 4 <= record.n_train <= 4 * n:
        return None
    return record.seconds / record.n_train
