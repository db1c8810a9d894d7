"""Running bounds on every check of a sequential gate, and the verdict as soon as they are certain of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.gate.pairing import Paired
from harness.gate.baseline import Baseline
from harness.errors import ConfigError
from harness.gate.rules_gate_checks import Check
from harness.protocols import BoundedMetric, LikelihoodMetric, Metric
from harness.stats.comparison import Comparison, Question, Sample
from harness.stats.noninferiority import Outcome, threshold
from harness.stats.sequential import ConfidenceSequence
from harness.types import FloatArray

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
            error=float(np.std(self._differences, ddof=1) / n**0.5) if n > 1 else None,
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
