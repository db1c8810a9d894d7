"""The edits that TER counts, found as sacrebleu finds them but without its tables in Python.

TER's shifts are a greedy search whose result depends on how ties are broken, so the order of candidates, their limits
and the preference between alignments are those of Tercom as sacrebleu has them. What differs is how distances are
found: rapidfuzz computes them, bit vectors align, and candidates that cannot win are counted but not tried. Texts are
strings with one character a word.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
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


class OutsideBeam(Exception):
    """sacrebleu's beam leaves out the best alignment, so that only sacrebleu can tell what it finds instead."""


def edits(ours: str, theirs: str, floor: int) -> int:
    """Count the insertions, deletions, substitutions and shifts that turn `ours` into `theirs`.

    `floor` is the edit distance that no order of our words gets below: the longer length less the common words.
    """
    from rapidfuzz.distance import Levenshtein

    if not theirs:
        return len(ours)
    errors: int = Levenshtein.distance(ours, theirs)
    try:
        check_beam(ours, theirs, errors)
        return _shifted(ours, theirs, errors, floor)
    except OutsideBeam:
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


def _shifted(ours: str, theirs: str, errors: int, floor: int) -> int:
    """Shift blocks while that takes away errors; return the errors that are left and the shifts."""
    shifts = checked = 0
    while errors > floor:
        gain, moved, checked = _best_shift(ours, theirs, errors, floor, checked)
        if not gain or checked >= MAX_CANDIDATES:
            break
        ours, errors, shifts = moved, errors - gain, shifts + 1
    return errors + shifts


def _best_shift(ours: str, theirs: str, errors: int, floor: int, checked: int) -> tuple[int, str, int]:
    """Return the largest gain of one shift, `ours` after it, and how many candidates were checked by now.

    Of equal gains the longest block wins, then the first block, then the first target. Nothing gains more than
    `errors` - `floor` nor, as moving a block is deleting and inserting it, than twice the block's length.
    """
    from rapidfuzz.distance import Levenshtein

    aligned = align(ours, theirs)
    best, result = (0, MAX_BLOCK + 1, 0, 0), ours
    for start, at, length in _blocks(ours, theirs, aligned):
        targets = dict.fromkeys(aligned.to[j] + 1 if j >= 0 else 0 for j in range(at - 1, at + length))
        for target in targets:
            if (min(errors - floor, 2 * length), length, -start, -target) > best:
                moved = _moved(ours, start, start + length, target)
                left = Levenshtein.distance(moved, theirs)
                candidate = (errors - left, length, -start, -target)
                if candidate > best:
                    check_beam(moved, theirs, left)
                    best, result = candidate, moved
        checked += len(targets)
        if checked >= MAX_CANDIDATES:
            break
    return best[0], result, checked


def _blocks(ours: str, theirs: str, aligned: Alignment) -> Iterator[tuple[int, int, int]]:
    """Yield where a block starts in `ours` and in `theirs`, and its length, if it is common to both and can be moved.

    It cannot where it is in place, nor where all of its words are right in one of the texts. Bit j of a mask is
    position j of `theirs`: most positions are ruled out for all blocks that start there at once.
    """
    where = aligned.where
    for start, word in enumerate(ours):
        longer = where.get(ours[start + 1 : start + 2], 0) >> 1
        starts = where.get(word, 0) & (longer | (aligned.theirs_wrong if aligned.ours_wrong >> start & 1 else 0))
        while starts:
            at = (starts & -starts).bit_length() - 1
            starts &= starts - 1
            if aligned.to[at] == start or abs(at - start) > MAX_DISTANCE:
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


@dataclass(frozen=True, slots=True)
class Alignment:
    """Our position for each of their words, and bit masks: where each of their words is, and whose words are wrong."""

    to: list[int]
    where: dict[str, int]
    ours_wrong: int
    theirs_wrong: int


def align(ours: str, theirs: str) -> Alignment:
    """Align two texts along the path of least edits that prefers substitution, then deletion, then insertion.

    The table of distances is held in bit vectors, one bit a word of `theirs` (Myers, 1999; Hyyrö, 2003): `same` has
    a 1 where a distance equals the one before it on the diagonal, `more` where it is one more than the one above.
    """
    where: dict[str, int] = {}
    for j, word in enumerate(theirs):
        where[word] = where.get(word, 0) | 1 << j
    full = (1 << len(theirs)) - 1
    rises, falls = full, 0
    same, more = [], []
    for word in ours:
        equal = where.get(word, 0)
        diagonal = ((((equal & rises) + rises) ^ rises) | equal | falls) & full
        above = falls | (full ^ (diagonal | rises))
        same.append(diagonal ^ equal)
        more.append(above)
        above = (above << 1 | 1) & full
        rises = ((rises & diagonal) << 1 & full) | (full ^ (diagonal | above))
        falls = above & diagonal
    return _traced(ours, theirs, where, same, more)


def _traced(ours: str, theirs: str, where: dict[str, int], same: list[int], more: list[int]) -> Alignment:
    to, ours_wrong, theirs_wrong = [-1] * len(theirs), 0, 0
    i, j = len(ours) - 1, len(theirs) - 1
    while i >= 0 and j >= 0:
        if not same[i] >> j & 1:
            if ours[i] != theirs[j]:
                ours_wrong |= 1 << i
                theirs_wrong |= 1 << j
            to[j] = i
            i, j = i - 1, j - 1
        elif more[i] >> j & 1:
            ours_wrong |= 1 << i
            i -= 1
        else:
            to[j] = i
            theirs_wrong |= 1 << j
            j -= 1
    return Alignment(to, where, ours_wrong | (1 << i + 1) - 1, theirs_wrong | (1 << j + 1) - 1)
