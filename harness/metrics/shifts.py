"""The edits that TER counts, found as sacrebleu finds them but without its tables in Python.

TER's shifts are a greedy search whose result depends on how ties are broken, so the order of candidates, their limits
and the preference between alignments are those of Tercom as sacrebleu has them. What differs is how distances are
found: rapidfuzz computes them, bit vectors align, and candidates that cannot win are counted but not tried. Texts that
are searched are strings with one character a word.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from harness.metrics.alignment import Alignment, align, align_all
from harness.metrics.encoded import Encoded, IntArray

MAX_BLOCK = 10
"""The longest block that is shifted, in words."""
MAX_DISTANCE = 50
"""How far a block may be shifted, in words."""
MAX_CANDIDATES = 1000
"""After so many candidates the search ends."""
BEAM = 25
"""sacrebleu's edit distance looks only so far from the diagonal."""


class OutsideBeam(Exception):
    """sacrebleu's beam leaves out the best alignment, so that only sacrebleu can tell what it finds instead."""


@dataclass(slots=True)
class _Search:
    """One pair of texts on its way: `ours` as shifted by now, and the errors that are left."""

    ours: str
    theirs: str
    errors: int
    floor: int
    shifts: int = 0
    checked: int = 0
    """Candidates that were looked at."""


def edits(ours: Encoded, theirs: Encoded, floors: IntArray) -> IntArray:
    """Count the insertions, deletions, substitutions and shifts that turn each of our texts into theirs, shape (n,).

    `floors`, shape (n,), are the edit distances that no order of our words gets below: the longer length less the
    common words. All texts are shifted once, then those that go on a second time, and so on.
    """
    from rapidfuzz import process
    from rapidfuzz.distance import Levenshtein

    distance = Levenshtein.distance
    our_texts, their_texts = ours.strings(), theirs.strings()
    counts: IntArray = process.cpdist(our_texts, their_texts, scorer=distance, dtype=np.int64)
    safe = np.fromiter(map(outside_beam, ours.lengths.tolist(), theirs.lengths.tolist()), np.float64)
    looked_at = np.flatnonzero(((counts > floors) | (counts >= safe)) & (theirs.lengths > 0)).tolist()
    searches = {i: _Search(our_texts[i], their_texts[i], int(counts[i]), int(floors[i])) for i in looked_at}
    while searches:
        aligned = align_all([each.ours for each in searches.values()], [each.theirs for each in searches.values()])
        going_on = {}
        for (i, search), alignment in zip(searches.items(), aligned, strict=True):
            try:
                if not search.shifts:
                    check_beam(search.ours, search.theirs, search.errors)
                if alignment.starts and search.errors > search.floor and _shift(search, alignment, distance):
                    going_on[i] = search
                counts[i] = search.errors + search.shifts
            except OutsideBeam:
                counts[i] = _sacrebleus(our_texts[i], their_texts[i])
        searches = going_on
    return counts


def _sacrebleus(ours: str, theirs: str) -> int:
    from sacrebleu.metrics.lib_ter import translation_edit_rate

    return int(translation_edit_rate(list(ours), list(theirs))[0])


def check_beam(ours: str, theirs: str, errors: int) -> None:
    """Raise OutsideBeam unless sacrebleu's beam leaves distance and alignment as they are.

    It does where no path of so few errors leaves the beam, or else where the preferred path itself does not.
    """
    if errors < outside_beam(len(ours), len(theirs)):
        return
    ratio, width = _beam(len(ours), len(theirs))
    reached = [0, *(position + 1 for position in align(ours, theirs).to), len(ours)]
    for j, (first, last) in enumerate(pairwise(reached)):
        if j < int(last * ratio) - width or (first < len(ours) and j >= int(max(first, 1) * ratio) + width):
            raise OutsideBeam


@cache
def outside_beam(n_ours: int, n_theirs: int) -> float:
    """Return the least errors of an alignment that leaves the beam; with fewer, the beam changes nothing."""
    if not n_ours:
        return np.inf
    ratio, width = _beam(n_ours, n_theirs)
    i, j = np.arange(1, n_ours + 1)[:, None], np.arange(n_theirs + 1)
    diagonal = np.floor(i * ratio)
    outside = (j < diagonal - width) | ((j >= diagonal + width) & (i < n_ours))
    errors = abs(i - j) + abs((n_ours - i) - (n_theirs - j))
    return float(errors[outside].min()) if outside.any() else np.inf


def _beam(n_ours: int, n_theirs: int) -> tuple[float, int]:
    """Return how steep the diagonal is, and how far from it sacrebleu looks."""
    ratio = n_theirs / n_ours
    return ratio, BEAM if ratio / 2 <= BEAM else math.ceil(ratio / 2 + BEAM)


def _shift(search: _Search, aligned: Alignment, distance: Callable[[str, str], int]) -> bool:
    """Shift the block that takes away most errors, and say whether to go on; without a gain nothing changes.

    Of equal gains the longest block wins, then the first block, then the first target. Nothing gains more than the
    errors less their floor nor, as moving a block is deleting and inserting it, than twice its length.
    """
    ours, theirs, errors = search.ours, search.theirs, search.errors
    most, before = errors - search.floor, [-1, *aligned.to]
    best, result = (0, MAX_BLOCK + 1, 0, 0), ours
    for start, at, length in _blocks(ours, theirs, aligned):
        positions = dict.fromkeys(before[at : at + length + 1])
        search.checked += len(positions)
        if min(most, 2 * length) >= best[0]:
            for position in positions:
                if (min(most, 2 * length), length, -start, -position - 1) > best:
                    moved = _moved(ours, start, start + length, position + 1)
                    left = distance(moved, theirs)
                    candidate = (errors - left, length, -start, -position - 1)
                    if candidate > best:
                        check_beam(moved, theirs, left)
                        best, result = candidate, moved
        if search.checked >= MAX_CANDIDATES:
            return False
    if not best[0]:
        return False
    search.ours, search.errors, search.shifts = result, errors - best[0], search.shifts + 1
    return search.errors > search.floor


def _blocks(ours: str, theirs: str, aligned: Alignment) -> Iterator[tuple[int, int, int]]:
    """Yield where a block starts in `ours` and in `theirs`, and its length, if it is common to both and can be moved.

    It cannot where it is in place, nor where all of its words are right in one of the texts.
    """
    for start, starts in aligned.starts:
        while starts:
            at = (starts & -starts).bit_length() - 1
            starts &= starts - 1
            if abs(at - start) > MAX_DISTANCE:
                continue
            for length in range(1, min(MAX_BLOCK, len(ours) - start, len(theirs) - at) + 1):
                if ours[start + length - 1] != theirs[at + length - 1]:
                    break
                block = (1 << length) - 1
                wrong = aligned.ours_wrong >> start & block and aligned.theirs_wrong >> at & block
                if wrong and not start <= aligned.to[at] < start + length:
                    yield start, at, length


def _moved(words: str, start: int, end: int, target: int) -> str:
    """Move words[start:end] before the word at `target`; a target inside the block moves it on by as many words."""
    block = words[start:end]
    if target < start:
        return words[:target] + block + words[target:start] + words[end:]
    rest = target if target > end else target + end - start
    return words[:start] + words[end:rest] + block + words[rest:]
