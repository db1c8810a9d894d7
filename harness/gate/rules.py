"""The checks of a gate: which metrics, by what margin, in which slices, and the share of failed completions.

All checks of a gate are one family, whose probability of a false failure is controlled as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError, unknown
from harness.gate.baseline import Baseline, BaselineExample
from harness.protocols import BoundedMetric, Metric

MARGIN = 0.02
"""The default margin of a metric whose values differ by at most 1; any other needs a margin in its own units."""
FAILURES = "failed or truncated"
"""The name of the check of failed and truncated completions."""


class OnUnderpowered(StrEnum):
    """The result of a gate whose examples cannot decide it."""

    fail = "fail"
    """It fails: a candidate passes only if it is shown to be good enough. The default."""
    warn = "warn"
    """It passes with a warning."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of one gate, from which its checks are made."""

    margins: Mapping[str, float]
    """The largest tolerable loss of the mean, by metric, in the metric's units."""
    slices: tuple[str, ...] = ()
    """`topic` adds a check of every value of that slice key, `topic=Biology` of that value only."""
    failures: bool = True
    """Whether significantly more failed or truncated completions than the baseline's fail the gate."""
    underpowered: OnUnderpowered = OnUnderpowered.fail

    def parts(self, parts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return which of the given slices are checked; ConfigError if a rule matches none of them."""
        checked = []
        for rule in self.slices:
            key, _, value = rule.partition("=")
            matching = [part for part in parts if part[0] == key and (not value or part[1] == value)]
            if not matching:
                valid = {key for key, _ in parts} | {f"{key}={value}" for key, value in parts}
                raise ConfigError(f"slice: {unknown('slice', rule, valid)}")
            checked += matching
        return list(dict.fromkeys(checked))


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison of a gate: a metric, or None for failures, on some rows of the pairs."""

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
    def higher_is_better(self) -> bool:
        """The direction: fewer failures are better, and a metric has its own."""
        return self.metric is not None and self.metric.higher_is_better is not False

    def on(self, examples: Sequence[BaselineExample]) -> Check:
        """Return the same check on the rows of these examples that it covers."""
        rows = [i for i, example in enumerate(examples) if self._covers(example)]
        return replace(self, rows=np.array(rows, np.intp))

    def _covers(self, example: BaselineExample) -> bool:
        if self.metric is None:
            return True
        return example.error is None and (self.part is None or example.slices.get(self.part[0]) == self.part[1])


def list_checks(baseline: Baseline, metrics: Sequence[Metric], rules: Rules) -> list[Check]:
    """Return the family on all examples of the baseline: every metric overall and by slice, then failures."""
    pairs = sorted({pair for example in baseline.examples if example.error is None for pair in example.slices.items()})
    parts: list[tuple[str, str] | None] = [None, *rules.parts(pairs)]
    none = np.array([], np.intp)
    checks = [Check(metric, rules.margins[metric.name], part, none) for part in parts for metric in metrics]
    if rules.failures:
        checks.append(Check(None, 0.0, None, none))
    return [check.on(baseline.examples) for check in checks]


def resolve_margins(
    metrics: Sequence[Metric], margin: float | Mapping[str, float] | None, baseline: Baseline
) -> dict[str, float]:
    """Return the margin of each metric from one for all, margins by metric, or the default.

    ConfigError for a metric without a margin, and for one without a direction, which cannot get worse.
    """
    by_metric = margin if isinstance(margin, Mapping) else dict.fromkeys((m.name for m in metrics), margin)
    if strange := by_metric.keys() - {m.name for m in metrics}:
        raise ConfigError(f"margin: {unknown('gated metric', min(strange), [m.name for m in metrics])}")
    return {metric.name: _resolve_margin(metric, by_metric.get(metric.name), baseline) for metric in metrics}


def _resolve_margin(metric: Metric, margin: float | None, baseline: Baseline) -> float:
    if metric.higher_is_better is None:
        valid = ", ".join(m.name for m in baseline.result.metrics if m.higher_is_better is not None)
        raise ConfigError(
            f"metric {metric.name}: expected a metric with a direction, but neither higher nor lower is better. "
            f"Gate one of: {valid}."
        )
    if margin is None and isinstance(metric, BoundedMetric):
        margin = MARGIN
    if margin is None:
        raise ConfigError(f"metric {metric.name}: expected a margin in its units ({metric.name}=1), got none.")
    if not (math.isfinite(margin) and margin >= 0):
        raise ConfigError(f"margin of {metric.name}: expected a number of 0 or more, got {margin}.")
    return float(margin)
