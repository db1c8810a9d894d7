"""The decision of a gate: every check is a paired comparison with a margin, and all checks together are one family.

A check of a metric passes if its interval lies above -margin, fails if it lies below, and is underpowered if it
contains -margin: an outcome of its own, never a pass. Failures are adjusted by Holm over the family; passes need no
adjustment, because the gate passes only if all checks do (see `harness.stats.noninferiority`).

A candidate whose texts are the baseline's is not worse. Equal scores of other texts are no more than that: they have an
interval as any others do. And where the baseline scores so badly that no candidate could fall by the margin, such as 0
on all examples, not being worse means nothing, and the check is underpowered.

Failed completions have the worst statistics in every metric. Failed or truncated completions also have a check of
their own, without a margin: it fails if they are significantly more than the baseline's, and passes otherwise. So a
margin that is wide enough for the noise of a score does not hide that one answer in ten is truncated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.config import StatsConfig
from harness.gate import exact
from harness.gate.pairing import Paired
from harness.gate.rules import Check, OnUnderpowered, Rules, list_checks, room_to_fall, score_range
from harness.protocols import BoundedMetric, LikelihoodMetric, Metric
from harness.stats.bootstrap import Resampler
from harness.stats.comparison import Comparison, Question, Sample
from harness.stats.noninferiority import GateOutcome, NoninferiorityResult, decide, threshold
from harness.stats.paired import compare
from harness.types import FloatArray
from harness.wording import counted

RESAMPLES_PER_CHECK = 4
"""A bootstrap p-value is never below 1 / resamples; after Holm it must be well below the level."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check: both scores, and candidate minus baseline in the metric's units."""

    check: Check
    baseline: float | None
    candidate: float | None
    comparison: Comparison
    decision: NoninferiorityResult
    note: str = ""
    """What the numbers alone do not say: that scores are equal though texts differ, or that nothing could fail."""
    texts_changed: int = 0
    """On how many of its examples the candidate's text is not the baseline's."""

    @property
    def outcome(self) -> GateOutcome:
        """Pass, fail or underpowered."""
        return self.decision.outcome


@dataclass(frozen=True, slots=True)
class GateResult:
    """The result of gating a candidate against a baseline: of every check, and of all of them together."""

    paired: Paired
    rules: Rules
    checks: tuple[CheckResult, ...]
    stopped: str = ""
    """For a sequential gate, after how many examples and why it stopped."""

    @property
    def outcome(self) -> GateOutcome:
        """Fail if any check fails, else underpowered if any is."""
        outcomes = {result.outcome for result in self.checks}
        return next((o for o in (GateOutcome.FAIL, GateOutcome.UNDERPOWERED) if o in outcomes), GateOutcome.PASS)

    @property
    def passed(self) -> bool:
        """Whether the candidate is accepted: if the rules only warn, also when underpowered."""
        warned = self.outcome is GateOutcome.UNDERPOWERED and self.rules.underpowered is OnUnderpowered.warn
        return self.outcome is GateOutcome.PASS or warned

    @property
    def main(self) -> CheckResult:
        """The first check that has the outcome of the gate."""
        return next(result for result in self.checks if result.outcome is self.outcome)


def gate(paired: Paired, metrics: Sequence[Metric], rules: Rules, config: StatsConfig) -> GateResult:
    """Decide all checks of the rules on these pairs, with the intervals that `config` asks for."""
    checks = [check.on(paired.accepted) for check in list_checks(paired.baseline, metrics, rules)]
    level = (1 - config.confidence) / 2
    n_resamples = max(config.n_resamples, math.ceil(RESAMPLES_PER_CHECK * len(checks) / level))
    resampler = Resampler(config.seed, n_resamples)
    clusters = paired.clusters(config.cluster)
    comparisons = [_compare(check, paired, resampler, clusters, config) for check in checks]
    decisions = decide(comparisons, [check.higher_is_better for check in checks])
    results = zip(checks, comparisons, decisions, strict=True)
    return GateResult(paired, rules, tuple(check_result(paired, *result) for result in results))


def check_result(paired: Paired, check: Check, comparison: Comparison, decision: NoninferiorityResult) -> CheckResult:
    """Return the result of a check; an underpowered `decision` is corrected where the family's rule does not fit."""
    candidate, baseline = scores(paired, check)
    changed = 0 if check.metric is None else int((~paired.same[check.rows]).sum())
    note = _note(paired, check, baseline, changed)
    if changed and cannot_fail(check, baseline) and not _is_better(check, comparison):
        decision = NoninferiorityResult(GateOutcome.UNDERPOWERED)
    elif decision.outcome is GateOutcome.UNDERPOWERED:
        if check.metric is None or _interval_passes(check, comparison):
            decision = NoninferiorityResult(GateOutcome.PASS)
        else:
            n_needed = _examples_needed(paired, check, comparison, decision.n_needed)
            decision = NoninferiorityResult(GateOutcome.UNDERPOWERED, n_needed)
    return CheckResult(check, baseline, candidate, comparison, decision, note, changed)


def cannot_fail(check: Check, baseline: float | None) -> bool:
    """Whether the baseline scores so badly that the worst score of all is within the margin: no candidate fails."""
    room = None if check.metric is None else room_to_fall(check.metric, baseline)
    return room is not None and room <= check.margin


def _note(paired: Paired, check: Check, baseline: float | None, changed: int) -> str:
    if check.metric is None or not changed:
        return ""
    notes = []
    candidate, accepted = paired.stats(check.metric.name)
    if np.array_equal(candidate[check.rows], accepted[check.rows]):
        n = len(check.rows)
        notes.append(f"all {counted(n, 'example')} score as the baseline's, but {counted(changed, 'text')} changed")
    if cannot_fail(check, baseline):
        fix = "another metric, or a smaller margin" if room_to_fall(check.metric, baseline) else "another metric"
        notes.append(f"no candidate could fail, as the baseline's own score is that near the worst: gate {fix}")
    return "; ".join(notes)


def _is_better(check: Check, comparison: Comparison) -> bool:
    """Return whether the whole interval is on the better side of 0."""
    if check.higher_is_better:
        return comparison.low is not None and comparison.low > 0
    return comparison.high is not None and comparison.high < 0


def scores(paired: Paired, check: Check) -> tuple[float | None, float | None]:
    """Return the candidate's and the baseline's score on the rows of a check; None if nothing is counted there."""
    if check.metric is None:
        candidate, baseline = paired.failures
        return float(candidate[check.rows].mean()), float(baseline[check.rows].mean())
    candidate_stats, baseline_stats = paired.stats(check.metric.name)
    return score_of(check.metric, candidate_stats[check.rows]), score_of(check.metric, baseline_stats[check.rows])


def score_of(metric: Metric, stats: FloatArray) -> float | None:
    """Return the score of some examples from their statistics, shape (n, k); None if nothing is counted there."""
    value = float(metric.aggregate(stats.sum(axis=0)))
    return None if math.isnan(value) else value


def _interval_passes(check: Check, comparison: Comparison) -> bool:
    """Return whether the whole interval is on the tolerable side of the margin.

    If only a few examples differ at all, the p-value saturates before the interval does.
    """
    limit = threshold(check.margin, check.higher_is_better)
    if check.higher_is_better:
        return comparison.low is not None and comparison.low > limit
    return comparison.high is not None and comparison.high < limit


def _examples_needed(paired: Paired, check: Check, comparison: Comparison, planned: int | None) -> int | None:
    """Return the examples that would decide a check, given those of the power calculation; None if unknown."""
    metric, confidence, sample = check.metric, comparison.question.confidence, comparison.sample
    if metric is None or comparison.difference is None:
        return None
    if metric.is_proportion and comparison.difference == 0 and not comparison.standard_error:
        return _in_examples(exact.examples_if_unchanged(check.margin, confidence), sample)
    if isinstance(metric, BoundedMetric) and comparison.standard_error == 0:
        lost = -comparison.difference if check.higher_is_better else comparison.difference
        reach = metric.bounds[1] - metric.bounds[0]
        return _in_examples(exact.examples_if_equal(lost, check.margin, reach, confidence), sample)
    if planned is None or planned > sample.n or not comparison.standard_error or sample.units < sample.n:
        return planned
    candidate, baseline = paired.per_example(metric)
    distance = abs(comparison.difference - comparison.question.threshold) / comparison.standard_error
    return exact.examples_if_few_differ((candidate - baseline)[check.rows], distance, confidence)


def _in_examples(units: int | None, sample: Sample) -> int | None:
    """Return the examples in so many resampled units, of the size that those of the sample have on average."""
    return None if units is None else math.ceil(units * sample.n / sample.units)


def _compare(
    check: Check, paired: Paired, resampler: Resampler, clusters: NDArray[np.str_] | None, config: StatsConfig
) -> Comparison:
    rows = check.rows
    if check.metric is None:
        failures = [failed[rows] for failed in paired.failures]
        return exact.compare_failures(failures[0], failures[1], clusters, config.confidence)
    candidate, baseline = (stats[rows] for stats in paired.stats(check.metric.name))
    question = Question(config.confidence, threshold(check.margin, check.higher_is_better))
    if len(rows) and np.array_equal(candidate, baseline):
        if paired.same[rows].all():
            reason = "completions are the baseline's own"
            return exact.compare_unchanged(len(rows), question, check.higher_is_better, reason)
        if isinstance(check.metric, LikelihoodMetric) and score_range(check.metric) is None:  # it reads no text
            reason = "likelihoods are the baseline's own"
            return exact.compare_unchanged(len(rows), question, check.higher_is_better, reason)
    labels = None if clusters is None else clusters[rows]
    comparison = compare(check.metric, candidate, baseline, resampler, labels, question)
    if comparison.low is None and comparison.difference is not None:
        return _compare_equal(comparison, check.metric, candidate, baseline)
    return comparison


def _compare_equal(comparison: Comparison, metric: Metric, candidate: FloatArray, baseline: FloatArray) -> Comparison:
    """Return the exact comparison if all examples differ equally, else the given one, which has no interval."""
    if not isinstance(metric, BoundedMetric):
        return comparison
    differences = metric.per_example(candidate) - metric.per_example(baseline)
    return exact.compare_equal_differences(comparison, metric.bounds) if np.ptp(differences) < 1e-9 else comparison
