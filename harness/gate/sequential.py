"""A gate that reads examples in chunks, in random order, and stops as soon as the verdict is certain.

Looks on the way and the look at the end share the level: `EARLY` of it goes to bounds that hold at all times at once
(`harness.stats.sequential`), the rest to the ordinary gate on all planned examples, which is only reached where the
looks did not end it. So a clear case takes few examples, an unclear one is decided almost as sharply as without
looking, and the chance of a wrong verdict is at most the same. On the way a failure is taken at the family's
confidence, by Bonferroni, because a sequence has no p-values for Holm.

Time or money that runs out leaves the gate underpowered: when they do depends on the completions, so that a last look
there would not be a planned one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness import registry as build, pricing
from harness.stages import generate, finetune as tuning
from harness.analysis import leaderboard
from harness.gate.pairing import Answers, Paired, require_same
from harness.gate.baseline import Baseline
from harness.config import HarnessConfig, StatsConfig
from harness.errors import ConfigError
from harness.gate.budget import Budget, Purse
from harness.gate.rules_gate_checks import list_checks
from harness.gate.decision import Finding, Gated, finding, gate
from harness.gate.rules import Rules
from harness.gate.sequential_gate_watch import Watch, require_means
from harness.stages.prepare import Prepared, prepare
from harness.protocols import Metric, Model
from harness.stages.metric_stats import statistics
from harness.stats.noninferiority import Decision, Outcome
from harness.stats.power import Plan, pairs_needed
from harness.store.stages import Store
from harness.types import Completion

EARLY = 0.2
"""The share of the level that the looks on the way have."""


def gate_in_chunks(
    config: HarnessConfig, baseline: Baseline, budget: Budget, rules_of: Callable[[Sequence[Metric]], Rules]
) -> Gated:
    """Carry a config through chunk by chunk until the gate is decided or the budget is spent."""
    prepared, store = prepare(config), Store(Path(config.store))
    require_means(prepared.metrics)
    rules, stats = rules_of(prepared.metrics), leaderboard.stats_config(baseline.result)
    if stats.cluster is not None:
        raise ConfigError(f"stats.cluster={stats.cluster}: a sequential gate takes independent examples only.")
    if config.generation.batch:
        raise ConfigError("generation.batch: a sequential gate asks for one chunk after another; leave it out.")
    require_same(baseline, config.task.name, prepared.examples, {m.name: m.signature for m in prepared.metrics})
    n = len(prepared.examples)
    planned = min(n, budget.examples or n)
    order = np.random.default_rng(config.seed).permutation(n)[:planned]
    asking = _Asking(config.name, prepared, _tuned(prepared, store), store)
    looks = _Looks(baseline, prepared.metrics, rules, stats, planned)
    prices, reference = pricing.of(config.pricing), asking.model.reference
    purse = Purse(budget, prices.of(reference) or prices.machine(reference))
    for rows in _chunks(order, budget.chunk):
        answers, made = asking.ask(rows)
        purse.pay(made)
        looks.look(answers)
        if looks.decided:
            return looks.gated(f"decided after {looks.n} of {n} examples")
        if looks.n < planned and (limit := purse.spent()):
            return looks.gated(f"undecided after {looks.n} of {n} examples: {limit}")
    last = replace(stats, confidence=1 - (1 - stats.confidence) * (1 - EARLY))
    found = gate(looks.paired(), prepared.metrics, rules, last, config.seed)
    return replace(found, stopped=f"decided on all {planned} planned of {n} examples, at {last.confidence:.0%}")


@dataclass(frozen=True, slots=True)
class _Asking:
    """What answers and scores a chunk of examples."""

    name: str
    prepared: Prepared
    model: Model
    store: Store

    def ask(self, rows: NDArray[np.intp]) -> tuple[Answers, list[Completion]]:
        """Return the answers to the examples at `rows`, and those completions that were not in the store."""
        examples = tuple(self.prepared.examples[i] for i in rows)
        prompts, decoding = [self.prepared.prompts[i] for i in rows], self.prepared.decoding
        new = {p.example_id for p in generate.unanswered(self.model, prompts, decoding, self.store)}
        completions, _ = generate.complete(self.model, prompts, decoding, self.store)
        metrics = self.prepared.metrics
        found = statistics(metrics, examples, completions, self.store)
        stats = {metric.name: each.rows.worst for metric, each in zip(metrics, found, strict=True)}
        made = [c for c in completions if c.example_id in new]
        return Answers(self.name, "", examples, completions, stats), made


class _Looks:
    """All answers so far, and the running bounds of every check."""

    def __init__(
        self, baseline: Baseline, metrics: Sequence[Metric], rules: Rules, stats: StatsConfig, planned: int
    ) -> None:
        self._baseline, self._rules = baseline, rules
        self._chunks: list[Answers] = []
        self._confidence = 1 - (1 - stats.confidence) * EARLY
        checks = list_checks(baseline, metrics, rules)
        share = planned / len(baseline.examples)
        self._watches = [
            Watch(check, baseline, max(1, round(share * len(check.rows))), self._confidence, len(checks))
            for check in checks
        ]

    def look(self, answers: Answers) -> None:
        """Take a chunk's answers."""
        self._chunks.append(answers)
        paired = Paired(self._baseline, answers)
        for watch in self._watches:
            watch.look(paired)

    @property
    def n(self) -> int:
        """How many examples were read."""
        return sum(len(chunk.examples) for chunk in self._chunks)

    @property
    def decided(self) -> bool:
        """Whether a check fails for certain, or every metric passes."""
        outcomes = [watch.outcome for watch in self._watches]
        passed = (o is Outcome.PASS for w, o in zip(self._watches, outcomes, strict=True) if w.check.metric)
        return Outcome.FAIL in outcomes or all(passed)

    def paired(self) -> Paired:
        """Return all pairs so far."""
        first = self._chunks[0]
        joined = Answers(
            first.name,
            first.run_id,
            tuple(example for chunk in self._chunks for example in chunk.examples),
            tuple(completion for chunk in self._chunks for completion in chunk.completions),
            {name: np.concatenate([chunk.stats[name] for chunk in self._chunks]) for name in first.stats},
        )
        return Paired(self._baseline, joined)

    def gated(self, stopped: str) -> Gated:
        """Return what the running bounds say."""
        paired = self.paired()
        return Gated(paired, self._rules, tuple(self._finding(paired, watch) for watch in self._watches), stopped)

    def _finding(self, paired: Paired, watch: Watch) -> Finding:
        found, outcome, needed = watch.comparison(), watch.outcome, None
        if outcome is Outcome.UNDERPOWERED and found.difference is not None and found.deviation:
            distance = found.difference - found.question.threshold
            needed = pairs_needed(found.deviation, distance, Plan(self._confidence))
        return finding(paired, watch.check.among(paired.accepted), found, Decision(outcome, needed))


def _tuned(prepared: Prepared, store: Store) -> Model:
    """Return the model that answers: after its fine-tune where there is one."""
    return build.model(tuning.tune(prepared.tuning, store)[0]) if prepared.tuning else prepared.model


def _chunks(order: NDArray[np.intp], size: int) -> Iterator[NDArray[np.intp]]:
    return (order[start : start + size] for start in range(0, len(order), size))
