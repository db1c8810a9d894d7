"""A gate that reads examples in chunks, in random order, and stops as soon as the verdict is certain.

Looks on the way and the look at the end share the level: `EARLY` of it goes to bounds that hold at all times at once
(`harness.stats.sequential`), the rest to the ordinary gate on all planned examples, which is only reached where the
looks did not end it. So a clear case takes few examples, an unclear one is decided almost as sharply as without
looking, and the chance of a wrong verdict is at most the same. On the way a failure is taken at the family's
confidence, by Bonferroni, because a sequence has no p-values for Holm.

Time or money that runs out leaves the gate underpowered: when they do depends on the completions, so that a last look
there would not be a planned one.

Running bounds on every check of a sequential gate, and the verdict as soon as they are certain of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness import pricing, registry
from harness.analysis import leaderboard
from harness.config import HarnessConfig, StatsConfig
from harness.errors import ConfigError
from harness.gate.baseline import Baseline
from harness.gate.budget import Budget, BudgetTracker
from harness.gate.decision import Finding, Gated, finding, gate
from harness.gate.pairing import Answers, Paired, require_same
from harness.gate.rules import Check, Rules, list_checks
from harness.protocols import BoundedMetric, LikelihoodMetric, Metric, Model
from harness.stages import finetune as tuning
from harness.stages import generate
from harness.stages.metric_stats import statistics
from harness.stages.prepare import Prepared, prepare
from harness.stats.comparison import Comparison, Question, Sample
from harness.stats.noninferiority import Decision, Outcome, threshold
from harness.stats.power import Plan, pairs_needed
from harness.stats.sequential import ConfidenceSequence
from harness.store.stages import Store
from harness.types import Completion, FloatArray

METHOD = "confidence sequence, after every chunk"


def require_means(metrics: Sequence[Metric]) -> None:
    """Raise a ConfigError for a metric that has no sequence: it must be a mean of bounded values of texts."""
    for metric in metrics:
        if not isinstance(metric, BoundedMetric) or isinstance(metric, LikelihoodMetric):
            raise ConfigError(
                f"metric {metric.name}: a sequential gate takes means of bounded values, such as rougeL, token_f1, "
                "exact_match or embedding_similarity. Gate it on all examples: leave sequential and budgets out."
            )


class Watch:
    """The bounds of one check: at the gate's confidence for a pass, at the family's for a failure."""

    def __init__(self, check: Check, baseline: Baseline, planned: int, confidence: float, family: int) -> None:
        self.check, self._confidence = check, confidence
        self._differences: list[float] = []
        self._low, self._high = _bounds(check, baseline)
        strict = 1 - (1 - confidence) / family
        self._pass, self._fail = (
            ConfidenceSequence(planned, self._low, self._high, each) for each in (confidence, strict)
        )
        self._passing = self._failing = (self._low, self._high)

    def look(self, paired: Paired) -> None:
        """Take a chunk's pairs."""
        check = self.check.among(paired.accepted)
        if not len(check.rows):
            return
        values = np.clip(_differences(paired, check), self._low, self._high)
        self._differences += values.tolist()
        self._passing, self._failing = self._pass.update(values), self._fail.update(values)

    @property
    def outcome(self) -> Outcome:
        """Pass or fail where the bounds are certain, else underpowered."""
        limit = threshold(self.check.margin, self.check.up)
        sides = (self._passing[0] > limit, self._failing[1] < limit)
        if not self.check.up:
            sides = (self._passing[1] < limit, self._failing[0] > limit)
        passes = sides[0] and self.check.metric is not None  # failures only ever fail a gate
        return Outcome.FAIL if sides[1] else Outcome.PASS if passes else Outcome.UNDERPOWERED

    def comparison(self) -> Comparison:
        """Return what is known now."""
        n = len(self._differences)
        low, high = self._failing if self.outcome is Outcome.FAIL else self._passing
        mean = float(np.mean(self._differences)) if n else None
        return Comparison(
            Sample(n=n, units=n, of=f"{n} examples"),
            Question(self._confidence, threshold(self.check.margin, self.check.up)),
            difference=mean,
            method=METHOD if n else "none: 0 examples",
            test=METHOD,
            low=low if n else None,
            high=high if n else None,
            standard_error=float(np.std(self._differences, ddof=1) / n**0.5) if n > 1 else None,
        )


def _differences(paired: Paired, check: Check) -> FloatArray:
    if check.metric is None:
        ours, theirs = (each[check.rows].astype(np.float64) for each in paired.failures)
        return ours - theirs
    ours, theirs = (check.metric.per_example(each[check.rows]) for each in paired.stats(check.metric.name))
    return ours - theirs


def _bounds(check: Check, baseline: Baseline) -> tuple[float, float]:
    """Return the lowest and highest difference that an example can have, given what the baseline scored."""
    if not isinstance(check.metric, BoundedMetric):
        return -1.0, 1.0
    low, high = check.metric.bounds
    theirs = check.metric.per_example(baseline.stats(check.metric.name)[~baseline.failed])
    return low - float(theirs.max(initial=low)), high - float(theirs.min(initial=high))


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
    prices, reference = pricing.of(config.pricing), asking.model.identity
    purse = BudgetTracker(budget, prices.of(reference) or prices.machine(reference))
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
        if outcome is Outcome.UNDERPOWERED and found.difference is not None and found.sd_of_difference:
            distance = found.difference - found.question.threshold
            needed = pairs_needed(found.sd_of_difference, distance, Plan(self._confidence))
        return finding(paired, watch.check.among(paired.accepted), found, Decision(outcome, needed))


def _tuned(prepared: Prepared, store: Store) -> Model:
    """Return the model that answers: after its fine-tune where there is one."""
    return registry.model(tuning.tune(prepared.tuning, store)[0]) if prepared.tuning else prepared.model


def _chunks(order: NDArray[np.intp], size: int) -> Iterator[NDArray[np.intp]]:
    return (order[start : start + size] for start in range(0, len(order), size))
