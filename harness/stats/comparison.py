"""The inputs and the result of a comparison of two systems, and the direction in which a score is better."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from harness.stats.distributions import ConfidenceDistribution


def direction(higher_is_better: bool | None) -> int:
    """Return 1, or -1 for a metric whose lower scores are better; a metric without a direction counts as 1."""
    return -1 if higher_is_better is False else 1


@dataclass(frozen=True, slots=True)
class Question:
    """The confidence of the interval, and the difference that the one-sided p-values are about."""

    confidence: float = 0.95
    """Of the two-sided interval; each of its ends is wrong with half of the remaining probability."""
    threshold: float = 0.0
    """The difference that `p_above` and `p_below` compare with; for non-inferiority, minus the margin."""

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise ValueError(f"Expected a confidence between 0 and 1, got {self.confidence}.")


@dataclass(frozen=True, slots=True)
class Sample:
    """The examples that a comparison is based on."""

    n: int
    """Examples; of the smaller sample where there are two."""
    units: int
    """Rows that were resampled: examples, or clusters of examples."""
    of: str
    """The units in words."""
    paired: bool = True
    """Whether both systems answered the same examples."""

    @property
    def size(self) -> str:
        """The number of examples, and of the clusters that they are in."""
        return f"{self.n:,}" if self.units >= self.n else f"{self.n:,} in {self.of}"

    def in_units(self, n: int) -> tuple[int, str]:
        """Return how many units so many examples are, and what these are called: more samples decide no more."""
        if self.units >= self.n:
            return n, "examples"
        return math.ceil(n * self.units / self.n), "clusters"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The first system's score minus the second's, in the metric's units, with its interval and p-values.

    A number that cannot be computed, such as a bound from one example, is None; `method` and `test` give the reason.
    """

    sample: Sample
    question: Question
    difference: float | None
    method: str
    """How the interval was computed, or why there is none."""
    test: str
    """How `p` was computed."""
    low: float | None = None
    high: float | None = None
    p: float | None = None
    """Two-sided: the probability of a difference at least this large by chance alone."""
    p_bootstrap: float | None = None
    """Two-sided, from the centred bootstrap, if there was one."""
    p_above: float | None = None
    """One-sided: small if the difference is above the question's threshold; consistent with `low`."""
    p_below: float | None = None
    """One-sided: small if the difference is below the question's threshold; consistent with `high`."""
    standard_error: float | None = None
    """The standard error of the difference, by jackknife."""

    def bounded(self, confidence: ConfidenceDistribution) -> Comparison:
        """Return the same comparison with the bounds and one-sided p-values of a confidence distribution."""
        low, high = confidence.interval(self.question.confidence)
        above = confidence.p_value(self.question.threshold)
        return replace(self, low=low, high=high, p_above=above, p_below=1 - above)

    @property
    def sd_of_difference(self) -> float | None:
        """The standard deviation of the per-example difference, which power calculations start from."""
        return None if self.standard_error is None else self.standard_error * math.sqrt(self.sample.n)

    @property
    def effect(self) -> float | None:
        """The difference in standard deviations of the per-unit difference: for a mean over examples, Cohen's d_z."""
        if self.difference is None or not self.standard_error or not self.sample.paired:
            return None
        return self.difference / (self.standard_error * math.sqrt(self.sample.units))
