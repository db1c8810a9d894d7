"""What a comparison of two systems asks, and what it finds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from harness.stats.distributions import Confidence


@dataclass(frozen=True, slots=True)
class Question:
    """How sure an interval must be, and the difference that the one-sided p-values are about."""

    confidence: float = 0.95
    """Of the two-sided interval; each of its ends is wrong with half of the rest."""
    threshold: float = 0.0
    """The difference that `p_above` and `p_below` compare with; minus the margin, for non-inferiority."""

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise ValueError(f"Expected a confidence between 0 and 1, got {self.confidence}.")


@dataclass(frozen=True, slots=True)
class Sample:
    """What a comparison rests on."""

    n: int
    """Examples; of the smaller sample where there are two."""
    units: int
    """Rows that were resampled: the examples, or clusters of them."""
    of: str
    """The units in words."""
    paired: bool = True
    """Whether both systems answered the same examples."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The first system's score minus the second's, in the metric's units, with all that is known about it.

    What cannot be known, such as a bound from one example, is None; `method` and `test` then give the reason.
    """

    sample: Sample
    question: Question
    difference: float | None
    method: str
    """How the interval was made, or why there is none."""
    test: str
    """How `p` was made."""
    low: float | None = None
    high: float | None = None
    p: float | None = None
    """Two-sided: how often a difference this large comes from chance alone."""
    p_bootstrap: float | None = None
    """Two-sided, from the centred bootstrap, where there was one."""
    p_above: float | None = None
    """One-sided: small when the difference is surely above the question's threshold; agrees with `low`."""
    p_below: float | None = None
    """One-sided: small when the difference is surely below the question's threshold; agrees with `high`."""
    standard_error: float | None = None
    """The standard error of the difference, by jackknife."""

    def bounded(self, confidence: Confidence) -> Comparison:
        """Return the same comparison with the bounds and one-sided p-values of a confidence distribution."""
        low, high = confidence.interval(self.question.confidence)
        above = confidence.p_value(self.question.threshold)
        return replace(self, low=low, high=high, p_above=above, p_below=1 - above)

    @property
    def sd_of_difference(self) -> float | None:
        """The standard deviation of one example's difference, which the power planner works from."""
        return None if self.standard_error is None else self.standard_error * math.sqrt(self.sample.n)

    @property
    def effect(self) -> float | None:
        """The difference in standard deviations of one unit's difference: for a mean over examples, Cohen's d_z."""
        if self.difference is None or not self.standard_error or not self.sample.paired:
            return None
        return self.difference / (self.standard_error * math.sqrt(self.sample.units))
