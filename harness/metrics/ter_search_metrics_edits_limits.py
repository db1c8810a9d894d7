"""Tercom's limits as sacrebleu has them, and where its beam may leave out the best alignment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np

MAX_BLOCK = 10
"""The longest block that is shifted, in words."""
MAX_DISTANCE = 50
"""How far a block may be shifted, in words."""
MAX_CANDIDATES = 1000
"""After so many candidates the search ends."""
BEAM = 25
"""sacrebleu's edit distance looks only so far from the diagonal."""
OUTSIDE_BEAM = -1
"""Stands for a count that only sacrebleu can tell, as its beam leaves out the best alignment."""


@cache
def safe_errors(n_ours: int, n_theirs: int) -> float:
    """Return the least errors of an alignment that leaves the beam; with fewer, the beam changes nothing."""
    if not n_ours:
        return np.inf
    ratio, width = _beam(n_ours, n_theirs)
    i, j = np.arange(1, n_ours + 1)[:, None], np.arange(n_theirs + 1)
    diagonal = np.floor(i * ratio)
    outside = (j < diagonal - width) | ((j >= diagonal + width) & (i < n_ours))
    errors = abs(i - j) + abs((n_ours - i) - (n_theirs - j))
    return float(errors[outside].min()) if outside.any() else np.inf


def leaves_beam(to: Sequence[int], n_ours: int) -> bool:
    """Say whether an alignment, our position for each of their words, leaves the beam."""
    ratio, width = _beam(n_ours, len(to))
    reached = [0, *(position + 1 for position in to), n_ours]
    return any(
        j < int(last * ratio) - width or (first < n_ours and j >= int(max(first, 1) * ratio) + width)
        for j, (first, last) in enumerate(pairwise(reached))
    )


def _beam(n_ours: int, n_theirs: int) -> tuple[float, int]:
    """Return how steep the diagonal is, and how far from it sacrebleu looks."""
    ratio = n_theirs / n_ours
    return ratio, BEAM if ratio / 2 <= BEAM else math.ceil(ratio / 2 + BEAM)
