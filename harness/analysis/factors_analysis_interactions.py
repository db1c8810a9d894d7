"""Whether one setting buys more where another is changed too: interactions, where the grid has all four corners.

The interaction of two levels is a difference of differences: the effect of the first setting with the second one
changed, minus its effect with the second one at its first level, averaged over combinations of the other settings that
all four runs exist for. Intervals and p-values are those of `harness.analysis.factors`, adjusted over all interactions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from harness.analysis.factors import Grid, adjusted


@dataclass(frozen=True, slots=True)
class Interaction:
    """How much more a change of the first setting brings when the second is changed too."""

    factors: tuple[str, str]
    levels: tuple[str, str]
    against: tuple[str, str]
    """The first level of each setting."""
    difference: float
    low: float | None
    high: float | None
    squares: int
    """How often four runs differ in these two settings alone."""
    p_adjusted: float | None = None
    """Benjamini and Hochberg's over all interactions; None where there are too few examples to test."""


def interactions(grid: Grid) -> list[Interaction]:
    """Return the interaction of every two levels of two settings of the grid, where there are runs for it."""
    found, p = [], []
    for one, other, levels, against in _choices(grid):
        squares = _squares(grid, dict(zip((one, other), levels, strict=True)), (one, other), against)
        if not squares:
            continue
        both, only_one, only_other, neither = zip(*squares, strict=True)
        contrast = grid.contrast((*both, *neither), (*only_one, *only_other), len(squares))
        if contrast:
            bounds = (contrast.value, contrast.low, contrast.high)
            found.append(Interaction((one, other), levels, against, *bounds, len(squares)))
            p.append(contrast.p)
    return [replace(each, p_adjusted=q) for each, q in zip(found, adjusted(p), strict=True)]


def _choices(grid: Grid) -> Iterator[tuple[str, str, tuple[str, str], tuple[str, str]]]:
    """Yield two settings, a level of each, and the levels that these are compared with."""
    for (one, (first, *levels)), (other, (first_other, *other_levels)) in combinations(grid.factors.items(), 2):
        for level in levels:
            for other_level in other_levels:
                yield one, other, (level, other_level), (first, first_other)


def _squares(
    grid: Grid, changed: dict[str, str], factors: tuple[str, str], against: tuple[str, str]
) -> list[tuple[int, int, int, int]]:
    """Return the positions of runs with both settings changed, only the one, only the other, and neither."""
    first, other = factors
    found = []
    for both, settings in enumerate(grid.settings):
        if any(settings[key] != level for key, level in changed.items()):
            continue
        corners = (
            grid.twin(both, {other: against[1]}),
            grid.twin(both, {first: against[0]}),
            grid.twin(both, {first: against[0], other: against[1]}),
        )
        only_one, only_other, neither = corners
        if only_one is not None and only_other is not None and neither is not None:
            found.append((both, only_one, only_other, neither))
    return found
