"""Non-inferiority tests: not worse by more than a margin, worse by more than it, or not enough data to decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.stats.comparison import Comparison, direction
from harness.stats.multiplicity import holm
from harness.stats.power import PowerPlan, pairs_needed


class GateOutcome(StrEnum):
    """The outcome of a non-inferiority test."""

    PASS = "pass"
    """The whole interval is on the tolerable side of the margin."""
    FAIL = "fail"
    """The whole interval is beyond the margin."""
    UNDERPOWERED = "underpowered"
    """The interval contains the margin: these examples cannot decide."""


@dataclass(frozen=True, slots=True)
class NoninferiorityResult:
    """The outcome of one test and, if it is underpowered, the examples needed if the difference stays as it is."""

    outcome: GateOutcome
    n_needed: int | None = None


def threshold(margin: float, higher_is_better: bool) -> float:
    """Return the largest tolerable loss as a difference, candidate minus baseline: the `Question`'s threshold."""
    if margin < 0:
        raise ValueError(f"Expected a margin of 0 or more, got {margin}.")
    return -direction(higher_is_better) * margin


def decide(
    comparisons: Sequence[Comparison], higher_is_better: Sequence[bool], power: float = 0.8
) -> tuple[NoninferiorityResult, ...]:
    """Decide each comparison, candidate minus baseline, against the threshold of its question.

    A single comparison is decided by its interval. In a family, failures are adjusted by Holm, so that the probability
    of any false one is at most (1 - confidence) / 2; passes need no adjustment, because the family passes only if all
    of its comparisons do (intersection-union test: Berger, 1982, Technometrics 24(4)). A bootstrap p-value is never
    below 1 / resamples, so at 95% a family of m needs 40 m resamples or more.
    """
    p_worse = [c.p_below if higher else c.p_above for c, higher in zip(comparisons, higher_is_better, strict=True)]
    return tuple(_decide(*test, power) for test in zip(comparisons, p_worse, holm(p_worse), strict=True))


def _decide(
    comparison: Comparison, p_worse: float | None, p_adjusted: float | None, power: float
) -> NoninferiorityResult:
    if p_worse is None or p_adjusted is None:
        return NoninferiorityResult(GateOutcome.UNDERPOWERED)
    level = (1 - comparison.question.confidence) / 2
    if 1 - p_worse <= level:
        return NoninferiorityResult(GateOutcome.PASS)
    if p_adjusted <= level:
        return NoninferiorityResult(GateOutcome.FAIL)
    return NoninferiorityResult(GateOutcome.UNDERPOWERED, _examples_needed(comparison, power))


def _examples_needed(comparison: Comparison, power: float) -> int | None:
    if comparison.difference is None or not comparison.sd_of_difference:
        return None
    distance = comparison.difference - comparison.question.threshold
    return pairs_needed(comparison.sd_of_difference, distance, PowerPlan(comparison.question.confidence, power))
