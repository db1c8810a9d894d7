"""Power analysis: the smallest difference that n examples can detect, and the n that a difference needs.

Both start from the standard deviation of the per-example difference, `Comparison.sd_of_difference` of a pilot run. It
is the jackknife error times sqrt(n), so it holds for corpus metrics as for means. The power is that of the paired t
test, from the noncentral t distribution (Cohen, 1988, Statistical Power Analysis, chapter 2).

The same functions plan a non-inferiority test, which uses one end of the same interval: the difference to detect is
then the expected difference plus the margin.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import nctdtr, ndtr, stdtrit

NORMAL_FROM = 10_000
"""From this many pairs the t distribution is normal to four digits, and scipy's noncentral t is not reliable."""
MAX_PAIRS = 10**9
"""A difference that needs more pairs than this counts as undetectable."""


@dataclass(frozen=True, slots=True)
class PowerPlan:
    """The confidence of the two-sided interval, and the probability that it excludes 0 for a true difference."""

    confidence: float = 0.95
    power: float = 0.8


def power(difference: float, sd: float, n: int, confidence: float = 0.95) -> float:
    """Return the probability that n pairs detect a true `difference`, with its sign, at the interval's `confidence`."""
    if not sd > 0:
        raise ValueError(f"Expected a positive standard deviation of the differences, got {sd}.")
    if n < 2:
        return 0.0
    shift = abs(difference) / sd * n**0.5
    critical = float(stdtrit(n - 1, (1 + confidence) / 2))
    missed = ndtr(critical - shift) if n > NORMAL_FROM else nctdtr(n - 1, shift, critical)
    return float(1 - missed)


def detectable_difference(sd: float, n: int, plan: PowerPlan | None = None) -> float | None:
    """Return the minimum detectable difference of n pairs at the plan's power; None below two pairs."""
    plan = plan or PowerPlan()
    if n < 2:
        return None
    low, high = 0.0, sd
    while power(high, sd, n, plan.confidence) < plan.power:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle, sd, n, plan.confidence) >= plan.power else (middle, high)
    return high


def pairs_needed(sd: float, difference: float, plan: PowerPlan | None = None) -> int | None:
    """Return the fewest pairs that detect a true `difference` with the plan's power; None if no number does."""
    plan = plan or PowerPlan()
    if difference == 0 or power(difference, sd, MAX_PAIRS, plan.confidence) < plan.power:
        return None
    low, high = 1, MAX_PAIRS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(difference, sd, middle, plan.confidence) >= plan.power else (middle, high)
    return high
