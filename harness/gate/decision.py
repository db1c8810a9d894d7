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
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.baseline.pairs import Paired
from harness.baseline.record import AcceptedExample, Baseline
from harness.config import StatsConfig
from harness.gate import edges
from harness.gate.rules import OnUnderpowered, Rules
from harness.protocols import BoundedMetric, Metric
from harness.stats.bootstrap import Resampler
from harness.stats.comparison import Comparison, Question
from harness.stats.noninferiority import Decision, Outcome, decide, threshold
from harness.stats.paired import compare
from harness.types import FloatArray

FAILURES = "failed or truncated"
RESAMPLES_BY_CHECK = 4
"""A bootstrap p-value is never below 1 / resamples; after Holm it must be well below the level."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question of a gate: a metric, or None for failures, on some rows of the pairs."""

    metric: Metric | None
    margin: float
    part: tuple[str, str] | None
    rows: NDArray[np.intp]

    @property
    def name(self) -> str:
        """The metric and its slice in words."""
        name = self.metric.name if self.metric else FAILURES
        return f"{name} [{'='.join(self.part)}]" if self.part else name

    @property
    def up(self) -> bool:
        """Whether higher is better."""
        return self.metric is not None and self.metric.higher_is_better is not False

    def among(self, accepted: Sequence[AcceptedExample]) -> Check:
        """Return the same question on those of these examples that it is about."""
        rows = [
            i
            for i, each in enumerate(accepted)
            if self.metric is None
            or (each.error is None and (self.part is None or each.slices.get(self.part[0]) == self.part[1]))
        ]
        return replace(self, rows=np.array(rows, np.intp))


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


def list_checks(baseline: Baseline, metrics: Sequence[Metric], rules: Rules) -> list[Check]:
    """Return the family, on all of the baseline's examples: every metric overall and by slice, then failures."""
    pairs = sorted({pair for each in baseline.examples if each.error is None for pair in each.slices.items()})
    parts: list[tuple[str, str] | None] = [None, *rules.parts(pairs)]
    none = np.array([], np.intp)
    checks = [Check(metric, rules.margins[metric.name], part, none) for part in parts for metric in metrics]
    if rules.failures:
        checks.append(Check(None, 0.0, None, none))
    return [check.among(baseline.examples) for check in checks]


def finding(paired: Paired, check: Check, comparison: Comparison, decision: Decision) -> Finding:
    """Return what a check found; `decision` is made good where the family's rule does not fit the check."""
    ours, theirs = scores(paired, check)
    if check.metric is None and decision.outcome is not Outcome.FAIL:
        decision = Decision(Outcome.PASS)
    elif decision.outcome is Outcome.UNDERPOWERED and decision.n_needed is None and check.metric is not None:
        unchanged = check.metric.is_proportion and comparison.difference == 0 and not comparison.error
        n = edges.examples_without_change(check.margin, comparison.question.confidence) if unchanged else None
        decision = Decision(Outcome.UNDERPOWERED, n)
    return Finding(check, theirs, ours, comparison, decision)


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
