"""The gate's decision: not worse by more than a margin, worse by more than it, or not enough data to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from harness.stats.comparison import Comparison
from harness.stats.multiplicity import holm
from harness.stats.power import Plan, pairs_needed


class Outcome(StrEnum):
    """What a non-inferiority test finds."""

    PASS = "pass"
    """The whole interval is on the right side of the margin."""
    FAIL = "fail"
    """The whole interval is beyond the margin."""
    UNDERPOWERED = "underpowered"
    """The interval holds the margin: these examples cannot decide."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome, and for `underpowered` the examples that would decide it if the difference stays what it is."""

    outcome: Outcome
    n_needed: int | None = None


def threshold(margin: float, higher_is_better: bool) -> float:
    """Return the difference, candidate minus baseline, that is just tolerable: the `Question`'s threshold."""
    if margin < 0:
        raise ValueError(f"Expected a margin of 0 or more, got {margin}.")
    return -margin if higher_is_better else margin


def decide(
    comparisons: Sequence[Comparison], higher_is_better: Sequence[bool], power: float = 0.8
) -> tuple[Decision, ...]:
    """Decide each comparison, candidate minus baseline, against the threshold of its question.

    One comparison alone is decided by its interval. In a family, failures are adjusted by Holm, so that the chance of
    any false one is at most (1 - confidence) / 2; passes need no adjustment, because the family passes only if all
    of it does (intersection-union: Berger, 1982, Technometrics 24(4)). A bootstrap p-value is never below
    1 / resamples, so at 95% a family of m takes 40 m resamples or more.
    """
    worse = [c.p_below if up else c.p_above for c, up in zip(comparisons, higher_is_better, strict=True)]
    failures = holm([np.nan if p is None else p for p in worse])
    return tuple(_decision(*each, power) for each in zip(comparisons, worse, failures, strict=True))


def _decision(comparison: Comparison, p_worse: float | None, adjusted: float, power: float) -> Decision:
    if p_worse is None:
        return Decision(Outcome.UNDERPOWERED)
    level = (1 - comparison.question.confidence) / 2
    if 1 - p_worse <= level:
        return Decision(Outcome.PASS)
    if adjusted <= level:
        return Decision(Outcome.FAIL)
    return Decision(Outcome.UNDERPOWERED, _examples_needed(comparison, power))


def _examples_needed(comparison: Comparison, power: float) -> int | None:
    if comparison.difference is None or not comparison.sd_of_difference:
        return None
    distance = comparison.difference - comparison.question.threshold
    return pairs_needed(comparison.sd_of_difference, distance, Plan(comparison.question.confidence, power))
