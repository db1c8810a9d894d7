"""What n examples can show, and how many a difference needs: asked before the money is spent.

Everything starts from the standard deviation of one example's paired difference, `Comparison.deviation` of a pilot.
It comes from the jackknife error times sqrt(n), so it serves corpus metrics as it serves means. The power is that of
the paired t test, from the noncentral t distribution (Cohen, 1988, Statistical Power Analysis, chapter 2).

The same functions plan non-inferiority, whose test is one end of the same interval: the difference to detect is then
the expected difference plus the margin.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import nctdtr, ndtr, stdtrit

NORMAL = 10_000
"""From this many pairs on the t distribution is normal to four digits, and scipy's noncentral t is not reliable."""
MOST = 10**9
"""More pairs than this is "cannot be shown"."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The confidence of the two-sided interval, and how likely it should be that it excludes what it should."""

    confidence: float = 0.95
    power: float = 0.8


def power(difference: float, deviation: float, n: int, confidence: float = 0.95) -> float:
    """Return the chance that n pairs show a true `difference`, in its direction, at the interval's `confidence`."""
    if not deviation > 0:
        raise ValueError(f"Expected a positive standard deviation of the differences, got {deviation}.")
    if n < 2:
        return 0.0
    shift = abs(difference) / deviation * n**0.5
    critical = float(stdtrit(n - 1, (1 + confidence) / 2))
    missed = ndtr(critical - shift) if n > NORMAL else nctdtr(n - 1, shift, critical)
    return float(1 - missed)


def detectable_difference(deviation: float, n: int, plan: Plan | None = None) -> float | None:
    """Return the smallest true difference that n pairs show with the plan's power; None below two pairs."""
    plan = plan or Plan()
    if n < 2:
        return None
    low, high = 0.0, deviation
    while power(high, deviation, n, plan.confidence) < plan.power:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle, deviation, n, plan.confidence) >= plan.power else (middle, high)
    return high


def pairs_needed(deviation: float, difference: float, plan: Plan | None = None) -> int | None:
    """Return the fewest pairs that show a true `difference` with the plan's power; None where none would do."""
    plan = plan or Plan()
    if difference == 0 or power(difference, deviation, MOST, plan.confidence) < plan.power:
        return None
    low, high = 1, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (low, middle) if power(difference, deviation, middle, plan.confidence) >= plan.power else (middle, high)
        )
    return high
