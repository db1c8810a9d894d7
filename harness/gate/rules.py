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
from harness.protocols import BoundedMetric, Metric, RangedMetric

MARGIN = 0.02
"""The default margin of a metric whose scores are from 0 to 1, or from -1 to 1; any other needs one in its units."""
UNIT = 2.0
"""The widest scale of a metric with the default margin: from -1 to 1."""
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


def score_range(metric: Metric) -> tuple[float, float] | None:
    """Return the lowest and the highest score of a metric; None where they are unknown or there are none."""
    if isinstance(metric, BoundedMetric):
        return metric.bounds
    if isinstance(metric, RangedMetric):
        return metric.score_range
    return (0.0, 1.0) if metric.is_proportion else None


def room_to_fall(metric: Metric, score: float | None) -> float | None:
    """Return by how much a score could get worse at all; None where that is unknown or without a limit."""
    bounds = score_range(metric)
    if bounds is None or score is None:
        return None
    return bounds[1] - score if metric.higher_is_better is False else score - bounds[0]


def resolve_margins(
    metrics: Sequence[Metric], margin: float | Mapping[str, float] | None, baseline: Baseline
) -> dict[str, float]:
    """Return the margin of each metric from one for all, margins by metric, or the default.

    ConfigError for a metric without a margin, for one without a direction, which cannot get worse, and for a margin as
    wide as the metric's whole scale, which no candidate can exceed.
    """
    by_metric = margin if isinstance(margin, Mapping) else dict.fromkeys((m.name for m in metrics), margin)
    if strange := by_metric.keys() - {m.name for m in metrics}:
        raise ConfigError(f"margin: {unknown('gated metric', str(min(strange)), [m.name for m in metrics])}")
    return {metric.name: _resolve_margin(metric, by_metric.get(metric.name), baseline) for metric in metrics}


def _resolve_margin(metric: Metric, margin: float | None, baseline: Baseline) -> float:
    if metric.higher_is_better is None:
        valid = ", ".join(m.name for m in baseline.result.metrics if m.higher_is_better is not None)
        raise ConfigError(
            f"metric {metric.name}: expected a metric with a direction, but neither higher nor lower is better. "
            f"Gate one of: {valid}."
        )
    bounds = score_range(metric)
    if margin is None and bounds is not None and bounds[1] - bounds[0] <= UNIT:
        margin = MARGIN
    if margin is None:
        raise ConfigError(
            f"metric {metric.name}: expected a margin in its units{_example_margin(metric, baseline)}, got none."
        )
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not (math.isfinite(margin) and margin >= 0):
        raise ConfigError(f"margin of {metric.name}: expected a number of 0 or more, got {margin!r}.")
    if bounds is not None and margin >= bounds[1] - bounds[0]:
        usual = MARGIN if bounds[1] - bounds[0] <= UNIT else MARGIN * (bounds[1] - bounds[0])
        raise ConfigError(
            f"margin of {metric.name}: expected less than its whole scale from {bounds[0]:g} to {bounds[1]:g}, got "
            f"{margin:g}, by which no candidate can fail. Usual is {metric.name}={usual:g}."
        )
    return float(margin)


def _example_margin(metric: Metric, baseline: Baseline) -> str:
    """Return a margin of 2% of the baseline's score as an example, or nothing where there is no score."""
    result = baseline.result.metric(metric.name)
    value = result.score.value if result else None
    if not value:
        return ""
    return f", such as {metric.name}={MARGIN * abs(value):.2g}, which is 2% of the baseline's {value:.3g}"
