"""The sequential gate: it reads examples in chunks, in random order, and stops as soon as the decision is certain.

The interim looks and the final look share the level: `EARLY` of it goes to bounds that hold at all looks simultaneously
(`harness.stats.sequential`), the rest to the ordinary gate on all planned examples, which is only reached if no interim
look decided. So a clear case needs few examples, an unclear one is decided almost as precisely as without interim
looks, and the probability of a wrong decision is not larger. At interim looks a failure is adjusted by Bonferroni,
because a confidence sequence has no p-values for Holm.

If the time or cost budget is exhausted, the gate is underpowered: when that happens depends on the completions, so a
final look at that point would not be a planned one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness import registry
from harness.analysis.leaderboard import stats_config
from harness.client import pricing
from harness.config import HarnessConfig, StatsConfig
from harness.errors import ConfigError
from harness.gate.baseline import Baseline
from harness.gate.budget import BudgetTracker, GateBudget
from harness.gate.decision import CheckResult, GateResult, cannot_fail, check_result, gate, score_of
from harness.gate.pairing import CandidateOutput, Paired, require_comparable, require_readable
from harness.gate.rules import Check, Rules, list_checks
from harness.protocols import BoundedMetric, LikelihoodMetric, Metric, Model
from harness.stages import generate
from harness.stages.finetune import train_or_load
from harness.stages.metric_stats import statistics
from harness.stages.prepare import Prepared, prepare
from harness.stats.bootstrap import unit_text
from harness.stats.comparison import Comparison, Question, Sample
from harness.stats.noninferiority import GateOutcome, NoninferiorityResult, threshold
from harness.stats.power import PowerPlan, pairs_needed
from harness.stats.sequential import ConfidenceSequence
from harness.store.stages import Store
from harness.types import Completion, FloatArray

EARLY = 0.2
"""The share of the level that the interim looks get."""
METHOD = "confidence sequence, after every chunk"


def gate_in_chunks(
    config: HarnessConfig, baseline: Baseline, budget: GateBudget, rules_of: Callable[[Sequence[Metric]], Rules]
) -> GateResult:
    """Run a config chunk by chunk until the gate is decided or the budget is spent."""
    prepared, store = prepare(config), Store(Path(config.store))
    stats = stats_config(baseline.result)
    _require_sequential(config, prepared.metrics, stats)
    rules = rules_of(prepared.metrics)
    require_readable(prepared.metrics, prepared.examples)
    signatures = {metric.name: metric.signature for metric in prepared.metrics}
    require_comparable(baseline, config.task.name, prepared.examples, signatures)
    n = len(prepared.examples)
    planned = min(n, budget.examples or n)
    order = np.random.default_rng(stats.seed).permutation(n)[:planned]
    generator = _ChunkGenerator(config.name, prepared, _final_model(prepared, store), store)
    looks = _InterimLooks(baseline, prepared.metrics, rules, stats, planned)
    prices, identity = pricing.of(config.pricing), generator.model.identity
    tracker = BudgetTracker(budget, prices.of(identity) or prices.machine(identity))
    for rows in _chunks(order, budget.chunk):
        output, new = generator.complete(rows)
        tracker.pay(new)
        looks.add(output)
        if looks.decided:
            return looks.result(f"decided after {looks.n} of {n} examples")
        if looks.n < planned and (limit := tracker.exceeded()):
            return looks.result(f"undecided after {looks.n} of {n} examples: {limit}")
    final = replace(stats, confidence=1 - (1 - stats.confidence) * (1 - EARLY))
    result = gate(looks.paired(), prepared.metrics, rules, final)
    return replace(result, stopped=f"decided on all {planned} planned of {n} examples, at {final.confidence:.0%}")


def _require_sequential(config: HarnessConfig, metrics: Sequence[Metric], stats: StatsConfig) -> None:
    """Raise a ConfigError unless all metrics are means of bounded values of texts, over independent examples."""
    for metric in metrics:
        if not isinstance(metric, BoundedMetric) or isinstance(metric, LikelihoodMetric):
            raise ConfigError(
                f"metric {metric.name}: a sequential gate needs a mean of bounded values, such as rougeL, token_f1, "
                "exact_match or embedding_similarity. Gate it on all examples instead: remove sequential and budgets."
            )
    if stats.cluster is not None:
        raise ConfigError(
            f"stats.cluster={stats.cluster}: a sequential gate needs independent examples. Gate on all examples "
            "instead: remove sequential and budgets."
        )
    if config.generation.n > 1:
        raise ConfigError(
            f"generation.n={config.generation.n}: a sequential gate needs independent examples, and the samples of one "
            "prompt are not. Gate on all examples instead: remove sequential and budgets."
        )
    if config.generation.batch:
        raise ConfigError("generation.batch: a sequential gate generates in chunks. Remove generation=openai_batch.")


@dataclass(frozen=True, slots=True)
class _ChunkGenerator:
    """Generates and scores the completions of one chunk of examples after another."""

    name: str
    prepared: Prepared
    model: Model
    store: Store

    def complete(self, rows: NDArray[np.intp]) -> tuple[CandidateOutput, list[Completion]]:
        """Return the output for the examples at `rows`, and the completions that were not in the store before."""
        examples = tuple(self.prepared.examples[i] for i in rows)
        prompts, decoding = [self.prepared.prompts[i] for i in rows], self.prepared.decoding
        new = {p.example_id for p in generate.unanswered(self.model, prompts, decoding, self.store)}
        completions, _ = generate.complete(self.model, prompts, decoding, self.store)
        metrics = self.prepared.metrics
        computed = statistics(metrics, examples, completions, self.store)
        stats = {metric.name: result.rows.worst for metric, result in zip(metrics, computed, strict=True)}
        output = CandidateOutput(self.name, "", examples, completions, stats)
        return output, [c for c in completions if c.example_id in new]


def _final_model(prepared: Prepared, store: Store) -> Model:
    """Return the model that generates: the fine-tuned one if there is a fine-tune."""
    return registry.model(train_or_load(prepared.finetune, store)[0]) if prepared.finetune else prepared.model


def _chunks(order: NDArray[np.intp], size: int) -> Iterator[NDArray[np.intp]]:
    return (order[start : start + size] for start in range(0, len(order), size))


class _InterimLooks:
    """The output so far, and the running bounds of every check."""

    def __init__(
        self, baseline: Baseline, metrics: Sequence[Metric], rules: Rules, stats: StatsConfig, planned: int
    ) -> None:
        self._baseline, self._rules = baseline, rules
        self._chunks: list[CandidateOutput] = []
        self._confidence = 1 - (1 - stats.confidence) * EARLY
        checks = list_checks(baseline, metrics, rules)
        share = planned / len(baseline.examples)
        self._bounds = [
            _RunningBounds(check, baseline, max(1, round(share * len(check.rows))), self._confidence, len(checks))
            for check in checks
        ]

    def add(self, output: CandidateOutput) -> None:
        """Update all bounds with a chunk."""
        self._chunks.append(output)
        paired = Paired(self._baseline, output)
        for bounds in self._bounds:
            bounds.update(paired)

    @property
    def n(self) -> int:
        """How many examples were read."""
        return sum(len(chunk.examples) for chunk in self._chunks)

    @property
    def decided(self) -> bool:
        """Whether a check certainly fails, or every metric certainly passes."""
        outcomes = [bounds.outcome for bounds in self._bounds]
        passed = (o is GateOutcome.PASS for b, o in zip(self._bounds, outcomes, strict=True) if b.check.metric)
        return GateOutcome.FAIL in outcomes or all(passed)

    def paired(self) -> Paired:
        """Return all pairs so far."""
        first = self._chunks[0]
        joined = CandidateOutput(
            first.name,
            first.run_id,
            tuple(example for chunk in self._chunks for example in chunk.examples),
            tuple(completion for chunk in self._chunks for completion in chunk.completions),
            {name: np.concatenate([chunk.stats[name] for chunk in self._chunks]) for name in first.stats},
        )
        return Paired(self._baseline, joined)

    def result(self, stopped: str) -> GateResult:
        """Return the result by the running bounds."""
        paired = self.paired()
        results = tuple(self._check_result(paired, bounds) for bounds in self._bounds)
        return GateResult(paired, self._rules, results, stopped)

    def _check_result(self, paired: Paired, bounds: _RunningBounds) -> CheckResult:
        comparison, outcome, needed = bounds.comparison(), bounds.outcome, None
        if outcome is GateOutcome.UNDERPOWERED and comparison.difference is not None and comparison.sd_of_difference:
            distance = comparison.difference - comparison.question.threshold
            needed = pairs_needed(comparison.sd_of_difference, distance, PowerPlan(self._confidence))
        check = bounds.check.on(paired.accepted)
        return check_result(paired, check, comparison, NoninferiorityResult(outcome, needed))


class _RunningBounds:
    """The bounds of one check: at the confidence of the gate for a pass, at that of the family for a failure."""

    def __init__(self, check: Check, baseline: Baseline, planned: int, confidence: float, family: int) -> None:
        self.check, self._confidence = check, confidence
        self._differences: list[float] = []
        self._low, self._high = _difference_range(check, baseline)
        family_confidence = 1 - (1 - confidence) / family
        self._pass = ConfidenceSequence(planned, self._low, self._high, confidence)
        self._fail = ConfidenceSequence(planned, self._low, self._high, family_confidence)
        self._pass_bounds = self._fail_bounds = (self._low, self._high)
        self._limit = threshold(check.margin, check.higher_is_better)
        if check.metric and cannot_fail(check, score_of(check.metric, baseline.stats(check.metric.name)[check.rows])):
            self._limit = 0.0  # then only a better candidate passes before the end

    def update(self, paired: Paired) -> None:
        """Add the pairs of a chunk."""
        check = self.check.on(paired.accepted)
        if not len(check.rows):
            return
        values = np.clip(_differences(paired, check), self._low, self._high)
        self._differences += values.tolist()
        self._pass_bounds, self._fail_bounds = self._pass.update(values), self._fail.update(values)

    @property
    def outcome(self) -> GateOutcome:
        """Pass or fail if the bounds are certain, else underpowered."""
        limit, fail_limit = self._limit, threshold(self.check.margin, self.check.higher_is_better)
        if self.check.higher_is_better:
            passes, fails = self._pass_bounds[0] > limit, self._fail_bounds[1] < fail_limit
        else:
            passes, fails = self._pass_bounds[1] < limit, self._fail_bounds[0] > fail_limit
        if fails:
            return GateOutcome.FAIL
        if passes and self.check.metric is not None:  # the check of failures can only fail a gate
            return GateOutcome.PASS
        return GateOutcome.UNDERPOWERED

    def comparison(self) -> Comparison:
        """Return the comparison of the pairs so far."""
        n = len(self._differences)
        low, high = self._fail_bounds if self.outcome is GateOutcome.FAIL else self._pass_bounds
        mean = float(np.mean(self._differences)) if n else None
        return Comparison(
            Sample(n=n, units=n, of=unit_text(n, None)),
            Question(self._confidence, threshold(self.check.margin, self.check.higher_is_better)),
            difference=mean,
            method=METHOD if n else "none: 0 examples",
            test=METHOD,
            low=low if n else None,
            high=high if n else None,
            standard_error=float(np.std(self._differences, ddof=1) / n**0.5) if n > 1 else None,
        )


def _differences(paired: Paired, check: Check) -> FloatArray:
    if check.metric is None:
        candidate, baseline = (failed.astype(np.float64) for failed in paired.failures)
    else:
        candidate, baseline = paired.per_example(check.metric)
    return (candidate - baseline)[check.rows]


def _difference_range(check: Check, baseline: Baseline) -> tuple[float, float]:
    """Return the lowest and the highest difference that an example can have, given the scores of the baseline."""
    if not isinstance(check.metric, BoundedMetric):
        return -1.0, 1.0
    low, high = check.metric.bounds
    scores = check.metric.per_example(baseline.stats(check.metric.name)[~baseline.failed])
    return low - float(scores.max(initial=low)), high - float(scores.min(initial=high))
