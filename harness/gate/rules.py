"""What a gate asks: which metrics, by what margin, in which slices, and what happens when the data cannot say.

The questions of a gate: every metric overall and by slice, and failed or truncated completions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError, unknown
from harness.gate.baseline import AcceptedExample, Baseline
from harness.protocols import BoundedMetric, Metric

MARGIN = 0.02
"""The default margin of a metric whose values differ by 1 at most; any other has to be given one, in its units."""


class OnUnderpowered(StrEnum):
    """What becomes of a gate whose examples cannot decide it."""

    fail = "fail"
    """It fails: what is not shown to be good enough is not let through. The default."""
    warn = "warn"
    """It passes with a warning."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The checks of one gate; all of them are one family, whose chance of a false failure is controlled as a whole."""

    margins: Mapping[str, float]
    """How much worse the mean may be, by metric, in the metric's units."""
    slices: tuple[str, ...] = ()
    """`topic` checks every value of that slice key on its own too, `topic=Biology` that one."""
    failures: bool = True
    """Whether surely more failed or truncated completions than the baseline's fail the gate."""
    underpowered: OnUnderpowered = OnUnderpowered.fail

    def parts(self, parts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return which of the slices there are is checked; ConfigError when a rule names none."""
        found = []
        for rule in self.slices:
            key, _, value = rule.partition("=")
            named = [part for part in parts if part[0] == key and (not value or part[1] == value)]
            if not named:
                valid = {key for key, _ in parts} | {f"{key}={value}" for key, value in parts}
                raise ConfigError(f"slice: {unknown('slice', rule, valid)}")
            found += named
        return list(dict.fromkeys(found))


def margins(
    metrics: Sequence[Metric], given: float | Mapping[str, float] | None, baseline: Baseline
) -> dict[str, float]:
    """Return each metric's margin: the given one, one for all, or the default; ConfigError when there is none.

    A metric without a direction cannot be worse, and is refused.
    """
    found = {}
    if isinstance(given, Mapping) and (strange := given.keys() - {m.name for m in metrics}):
        raise ConfigError(f"margin: {unknown('gated metric', min(strange), [m.name for m in metrics])}")
    for metric in metrics:
        if metric.higher_is_better is None:
            directed = [m.name for m in baseline.result.metrics if m.higher_is_better is not None]
            raise ConfigError(f"metric {metric.name}: has no better or worse. Gate one of: {', '.join(directed)}.")
        margin = given.get(metric.name) if isinstance(given, Mapping) else given
        if margin is None and isinstance(metric, BoundedMetric):
            margin = MARGIN
        if margin is None:
            raise ConfigError(f"metric {metric.name}: expected a margin in its units ({metric.name}=1), got none.")
        if not (math.isfinite(margin) and margin >= 0):
            raise ConfigError(f"margin of {metric.name}: expected a number of 0 or more, got {margin}.")
        found[metric.name] = float(margin)
    return found


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
