"""The questions of a gate: every metric overall and by slice, and failed or truncated completions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.gate.baseline import AcceptedExample, Baseline
from harness.gate.rules import Rules
from harness.protocols import Metric

FAILURES = "failed or truncated"


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


def list_checks(baseline: Baseline, metrics: Sequence[Metric], rules: Rules) -> list[Check]:
    """Return the family, on all of the baseline's examples: every metric overall and by slice, then failures."""
    pairs = sorted({pair for each in baseline.examples if each.error is None for pair in each.slices.items()})
    parts: list[tuple[str, str] | None] = [None, *rules.parts(pairs)]
    none = np.array([], np.intp)
    checks = [Check(metric, rules.margins[metric.name], part, none) for part in parts for metric in metrics]
    if rules.failures:
        checks.append(Check(None, 0.0, None, none))
    return [check.among(baseline.examples) for check in checks]
