"""The decision: every check of a gate is a paired comparison with a margin, and together they are one family.

A check of a metric passes when its interval is above -margin, fails when it is below, and is underpowered when it
holds the margin: its own outcome, never a pass. Failures are adjusted by Holm over the family; passes need no
adjustment, because the gate passes only where all checks do (see `harness.stats.noninferiority`).

Failed completions have their worst statistics in every metric. On top of that, failed or truncated completions have a
check of their own, without a margin: it fails where they are surely more than the baseline's, and passes otherwise, so
that a margin wide enough for noise in a score does not hide that one answer in ten is cut off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.config import StatsConfig
from harness.gate import exact as edges
from harness.gate.pairing import Paired
from harness.gate.rules import Check, OnUnderpowered, Rules, list_checks
from harness.protocols import BoundedMetric, Metric
from harness.stats.bootstrap import Resampler
from harness.stats.comparison import Comparison, Question
from harness.stats.noninferiority import Decision, Outcome, decide, threshold
from harness.stats.paired import compare
from harness.types import FloatArray

RESAMPLES_BY_CHECK = 4
"""A bootstrap p-value is never below 1 / resamples; after Holm it must be well below the level."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: candidate minus baseline, in the metric's units."""

    check: Check
    baseline: float | None
    candidate: float | None
    comparison: Comparison
    decision: Decision

    @property
    def outcome(self) -> Outcome:
        """Pass, fail or underpowered."""
        return self.decision.outcome


@dataclass(frozen=True, slots=True)
class Gated:
    """A candidate against a baseline: every finding, and what they come to."""

    paired: Paired
    rules: Rules
    findings: tuple[Finding, ...]
    stopped: str = ""
    """Of a sequential gate, after how many examples and why it ended."""

    @property
    def outcome(self) -> Outcome:
        """Fail where any check fails, else underpowered where any is."""
        found = {finding.outcome for finding in self.findings}
        return next((o for o in (Outcome.FAIL, Outcome.UNDERPOWERED) if o in found), Outcome.PASS)

    @property
    def passed(self) -> bool:
        """Whether the candidate is let through: where the rules only warn, underpowered is."""
        warned = self.outcome is Outcome.UNDERPOWERED and self.rules.underpowered is OnUnderpowered.warn
        return self.outcome is Outcome.PASS or warned

    @property
    def main(self) -> Finding:
        """The finding to look at first: the first of those that have the gate's outcome."""
        return next(finding for finding in self.findings if finding.outcome is self.outcome)


def gate(paired: Paired, metrics: Sequence[Metric], rules: Rules, config: StatsConfig, seed: int = 0) -> Gated:
    """Decide all checks of the rules on these pairs, with the intervals that `config` asks for."""
    checks = [check.among(paired.accepted) for check in list_checks(paired.baseline, metrics, rules)]
    level = (1 - config.confidence) / 2
    resampler = Resampler(seed, max(config.n_resamples, math.ceil(RESAMPLES_BY_CHECK * len(checks) / level)))
    clusters = paired.clusters(config.cluster)
    comparisons = [_compare(check, paired, resampler, clusters, config) for check in checks]
    decisions = decide(comparisons, [check.up for check in checks])
    found = zip(checks, comparisons, decisions, strict=True)
    return Gated(paired, rules, tuple(finding(paired, *each) for each in found))


def finding(paired: Paired, check: Check, comparison: Comparison, decision: Decision) -> Finding:
    """Return what a check found; `decision` is made good where the family's rule does not fit the check."""
    ours, theirs = scores(paired, check)
    if decision.outcome is Outcome.UNDERPOWERED:
        if check.metric is None or _inside(check, comparison):
            decision = Decision(Outcome.PASS)
        else:
            decision = Decision(Outcome.UNDERPOWERED, _needed(paired, check, comparison, decision.n_needed))
    return Finding(check, theirs, ours, comparison, decision)


def _inside(check: Check, found: Comparison) -> bool:
    """Say whether the whole interval is on the right side of the margin.

    Where a handful of examples differ at all, its p-value saturates before the interval does.
    """
    limit = threshold(check.margin, check.up)
    if check.up:
        return found.low is not None and found.low > limit
    return found.high is not None and found.high < limit


def _needed(paired: Paired, check: Check, found: Comparison, planned: int | None) -> int | None:
    """Return the examples that would decide a check, given the planner's; None where no number is known."""
    metric, confidence = check.metric, found.question.confidence
    if metric is None or found.difference is None:
        return None
    if metric.is_proportion and found.difference == 0 and not found.standard_error:
        return edges.examples_without_change(check.margin, confidence)
    if planned is None or planned > found.sample.n or not found.standard_error:
        return planned
    ours, theirs = (metric.per_example(rows[check.rows]) for rows in paired.stats(metric.name))
    distance = abs(found.difference - found.question.threshold)
    return edges.examples_where_few_differ(ours - theirs, distance / found.standard_error, confidence)


def scores(paired: Paired, check: Check) -> tuple[float | None, float | None]:
    """Return the candidate's and the baseline's score on the rows of a check; None where nothing counts."""
    if check.metric is None:
        ours, theirs = (float(each[check.rows].mean()) for each in paired.failures)
        return ours, theirs
    aggregated = [
        float(check.metric.aggregate(rows[check.rows].sum(axis=0))) for rows in paired.stats(check.metric.name)
    ]
    found = [None if math.isnan(value) else value for value in aggregated]
    return found[0], found[1]


def _compare(
    check: Check, paired: Paired, resampler: Resampler, clusters: NDArray[np.str_] | None, config: StatsConfig
) -> Comparison:
    rows = check.rows
    if check.metric is None:
        failed = [each[rows] for each in paired.failures]
        return edges.failures(failed[0], failed[1], clusters, config.confidence)
    ours, theirs = (each[rows] for each in paired.stats(check.metric.name))
    question = Question(config.confidence, threshold(check.margin, check.up))
    if len(rows) and np.array_equal(ours, theirs):
        if paired.same[rows].all():
            return edges.unchanged(len(rows), question, check.up, "completions are the baseline's own")
        if not check.metric.is_proportion:  # which have an interval of their own where nothing changes
            return edges.unchanged(len(rows), question, check.up, "examples score as the baseline's")
    found = compare(check.metric, ours, theirs, resampler, None if clusters is None else clusters[rows], question)
    if found.low is None and found.difference is not None and clusters is None:
        return _alike(found, check.metric, ours, theirs)
    return found


def _alike(found: Comparison, metric: Metric, ours: FloatArray, theirs: FloatArray) -> Comparison:
    if not isinstance(metric, BoundedMetric):
        return found
    differences = metric.per_example(ours) - metric.per_example(theirs)
    return edges.alike(found, metric.bounds) if np.ptp(differences) < 1e-9 else found
