"""Many comparisons at once: adjusted p-values, significance, tie groups and the ranks that the data allow."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.stats.comparison import direction
from harness.types import FloatArray

MIN_PERMUTATIONS = 9_999
"""Enough for all pairs of 22 runs at 95% confidence."""

PValues = Sequence[float | None]
"""P-values; None for a comparison that could not be tested."""


def is_significant(p_value: float | None, confidence: float) -> bool:
    """Whether an adjusted p-value is significant at `confidence`, such as 0.95; None, which was not tested, is not."""
    return p_value is not None and p_value <= 1 - confidence


def holm(p_values: PValues) -> list[float | None]:
    """Return Holm's adjusted p-values: the probability of any false claim among those at or below 0.05 is at most 5%.

    None stays None and does not count as a test. Source: Holm (1979), Scandinavian Journal of Statistics 6(2); equal
    to statsmodels' multipletests.
    """
    return _adjusted(p_values, lambda p: np.maximum.accumulate(p * np.arange(len(p), 0, -1)))


def benjamini_hochberg(p_values: PValues) -> list[float | None]:
    """Return adjusted p-values: of the claims at or below 0.05, at most 5% are expected to be false.

    None as in `holm`. Source: Benjamini and Hochberg (1995), JRSS B 57(1); equal to statsmodels' multipletests.
    """
    return _adjusted(p_values, lambda p: np.minimum.accumulate((p * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1])


def _adjusted(p_values: PValues, adjust: Callable[[FloatArray], FloatArray]) -> list[float | None]:
    """Apply `adjust`, from ascending to adjusted p-values, to those that are not None."""
    values = np.array([np.nan if p is None else p for p in p_values], np.float64)
    order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]
    values[order] = np.minimum(1.0, adjust(values[order]))
    return [None if np.isnan(p) else float(p) for p in values]


def permutations_needed(tests: int, confidence: float) -> int:
    """Return the permutations for which Holm's smallest possible p-value is half the level over so many tests."""
    return max(MIN_PERMUTATIONS, round(2 * tests / (1 - confidence)))


def tie_groups(differs: NDArray[np.bool_]) -> list[str]:
    """Return each system's letters: two systems share a letter if and only if `differs`, shape (m, m), is False.

    With the systems ordered best first, "a" is the group of the best. Source: the insert-and-absorb algorithm of
    Piepho (2004), JCGS 13(2).
    """
    systems = range(len(differs))
    groups = [frozenset(systems)]
    for i, j in ((i, j) for i in systems for j in systems if i < j and differs[i, j]):
        split = {part for g in groups for part in ((g - {i}, g - {j}) if {i, j} <= g else (g,))}
        groups = [g for g in split if not any(g < other for other in split)]
    ordered = sorted(groups, key=sorted)
    return ["".join(_letter(k) for k, group in enumerate(ordered) if i in group) for i in systems]


def _letter(k: int) -> str:
    alphabet = string.ascii_lowercase
    return alphabet[k % len(alphabet)] + "'" * (k // len(alphabet))


def rank_intervals(
    scores: FloatArray, higher_is_better: bool | None = True, confidence: float = 0.95
) -> list[tuple[int, int]]:
    """Return each system's best and worst plausible rank from resampled `scores`, shape (B, m); rank 1 is best.

    Source: Goldstein and Spiegelhalter (1996), JRSS A 159(3). Ties share the better rank.
    """
    oriented = direction(higher_is_better) * scores
    ranks = 1 + (oriented[:, None, :] > oriented[:, :, None]).sum(axis=2)
    tail = (1 - confidence) / 2
    best = np.quantile(ranks, tail, axis=0, method="lower")
    worst = np.quantile(ranks, 1 - tail, axis=0, method="higher")
    return [(int(low), int(high)) for low, high in zip(best, worst, strict=True)]
