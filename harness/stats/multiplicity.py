"""Many comparisons at once: adjusted p-values, tie groups and the ranks that the data allow."""

from __future__ import annotations

import string
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.types import FloatArray

LEAST_PERMUTATIONS = 9_999
"""Enough for all pairs of 22 runs at 95%."""


def holm(p: ArrayLike) -> FloatArray:
    """Return Holm's adjusted p-values, shape (m,): at or below 0.05, the chance of any false claim is at most 5%.

    A p-value that is nan was not tested: it stays nan and counts for nothing. Source: Holm (1979), Scandinavian
    Journal of Statistics 6(2); equal to statsmodels' multipletests.
    """
    return _adjusted(p, lambda values: np.maximum.accumulate(values * np.arange(len(values), 0, -1)))


def benjamini_hochberg(p: ArrayLike) -> FloatArray:
    """Return adjusted p-values, shape (m,): of the claims at or below 0.05, at most 5% are false on average.

    nan as in `holm`. Source: Benjamini and Hochberg (1995), JRSS B 57(1); equal to statsmodels' multipletests.
    """
    return _adjusted(
        p,
        lambda values: np.minimum.accumulate((values * len(values) / np.arange(1, len(values) + 1))[::-1])[::-1],
    )


def _adjusted(p: ArrayLike, ascending: Callable[[FloatArray], FloatArray]) -> FloatArray:
    values = np.array(p, np.float64)
    order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]
    values[order] = np.minimum(1.0, ascending(values[order]))
    return values


def permutations_needed(tests: int, confidence: float) -> int:
    """Return how many permutations leave Holm's smallest p-value half of what it may be over so many tests."""
    return max(LEAST_PERMUTATIONS, round(2 * tests / (1 - confidence)))


def tie_groups(differs: NDArray[np.bool_]) -> list[str]:
    """Return each system's letters: two systems share a letter exactly where `differs`, shape (m, m), is False.

    Order the systems best first, and "a" is the group of the best. Source: insert-and-absorb of Piepho (2004), JCGS
    13(2).
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
    scores: FloatArray, higher_is_better: bool = True, confidence: float = 0.95
) -> list[tuple[int, int]]:
    """Return each system's best and worst plausible rank from resampled `scores`, shape (B, m); rank 1 is best.

    Source: Goldstein and Spiegelhalter (1996), JRSS A 159(3). Ties share the better rank.
    """
    oriented = scores if higher_is_better else -scores
    ranks = 1 + (oriented[:, None, :] > oriented[:, :, None]).sum(axis=2)
    tail = (1 - confidence) / 2
    best = np.quantile(ranks, tail, axis=0, method="lower")
    worst = np.quantile(ranks, 1 - tail, axis=0, method="higher")
    return [(int(low), int(high)) for low, high in zip(best, worst, strict=True)]
