"""The edits that TER counts, found as sacrebleu finds them but without its tables in Python.

TER's shifts are a greedy search whose result depends on how ties are broken, so the order of candidates, their limits
and the preference between alignments are those of Tercom as sacrebleu has them. What differs is how distances are
found: rapidfuzz computes them, bit vectors align, and candidates that cannot win are counted but not tried. Texts are
strings with one character a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

MAX_BLOCK = 10
"""The longest block that is shifted, in words."""
MAX_DISTANCE = 50
"""How far a block may be shifted, in words."""
MAX_CANDIDATES = 1000
"""After so many candidates the search ends."""
BEAM = 25
"""sacrebleu's edit distance looks only so far from the diagonal."""


def edits(ours: str, theirs: str, floor: int) -> int:
    """Count the insertions, deletions, substitutions and shifts that turn `ours` into `theirs`.

    `floor` is the edit distance that no order of our words gets below: the longer length less the common words.
    """
    from rapidfuzz.distance import Levenshtein

    if not theirs:
        return len(ours)
    errors: int = Levenshtein.distance(ours, theirs)
    if errors >= outside_beam(len(ours), len(theirs)):
        from sacrebleu.metrics.lib_ter import translation_edit_rate

        return int(translation_edit_rate(list(ours), list(theirs))[0])
    shifts = checked = 0
    while errors > floor:
        gain, moved, checked = _best_shift(ours, theirs, errors - floor, checked)
        if not gain or checked >= MAX_CANDIDATES:
            break
        ours, errors, shifts = moved, errors - gain, shifts + 1
    return errors + shifts


@cache
def outside_beam(n_ours: int, n_theirs: int) -> float:
    """Return the least distance of an alignment that sacrebleu's beam leaves out; below it the beam changes nothing."""
    if not n_ours:
        return np.inf
    ratio = n_theirs / n_ours
    width = BEAM if ratio / 2 <= BEAM else int(np.ceil(ratio / 2 + BEAM))
    i, j = np.arange(1, n_ours + 1)[:, None], np.arange(n_theirs + 1)
    diagonal = np.floor(i * ratio)
    outside = (j < diagonal - width) | ((j >= diagonal + width) & (i < n_ours))
    distance = abs(i - j) + abs((n_ours - i) - (n_theirs - j))
    return float(distance[outside].min()) if outside.any() else np.inf


def _best_shift(ours: str, theirs: str, possible: int, checked: int) -> tuple[int, str, int]:
    """Return the largest gain of one shift, `ours` after it, and how many candidates were checked by now.

    Of equal gains the longest block wins, then the first block, then the first target. A gain is at most `possible`
    and, as moving a block is deleting and inserting it, at most twice the block's length.
    """
    from rapidfuzz.distance import Levenshtein

    align, ours_wrong, theirs_wrong = alignment(ours, theirs)
    before = Levenshtein.distance(ours, theirs)
    best, result = (0, MAX_BLOCK + 1, 0, 0), ours
    for start, at, length in _common_blocks(ours, theirs, align):
        end = start + length
        if start <= align[at] < end or 1 not in ours_wrong[start:end] or 1 not in theirs_wrong[at : at + length]:
            continue
        targets = dict.fromkeys(align[position] + 1 if position >= 0 else 0 for position in range(at - 1, at + length))
        for target in targets:
            if (min(possible, 2 * length), length, -start, -target) > best:
                moved = _moved(ours, start, end, target)
                candidate = (before - Levenshtein.distance(moved, theirs), length, -start, -target)
                if candidate > best:
                    best, result = candidate, moved
        checked += len(targets)
        if checked >= MAX_CANDIDATES:
            break
    return best[0], result, checked


def _common_blocks(ours: str, theirs: str, align: list[int]) -> Iterator[tuple[int, int, int]]:
    """Yield where a block starts in `ours` and in `theirs`, and its length, where it is not yet in place."""
    where: dict[str, list[int]] = {}
    for at, word in enumerate(theirs):
        where.setdefault(word, []).append(at)
    for start, word in enumerate(ours):
        for at in where.get(word, ()):
            if align[at] == start or abs(at - start) > MAX_DISTANCE:
                continue
            for length in range(1, min(MAX_BLOCK, len(ours) - start, len(theirs) - at) + 1):
                if ours[start + length - 1] != theirs[at + length - 1]:
                    break
                yield start, at, length


def _moved(words: str, start: int, end: int, target: int) -> str:
    """Move words[start:end] before the word at `target`; a target inside the block moves it on by as many words."""
    block = words[start:end]
    if target < start:
        return words[:target] + block + words[target:start] + words[end:]
    rest = target if target > end else target + end - start
    return words[:start] + words[end:rest] + block + words[rest:]


def alignment(ours: str, theirs: str) -> tuple[list[int], bytes, bytes]:
    """Align two texts along the path of least edits that prefers substitution, then deletion, then insertion.

    Returns our position for each of their words, and which of our and of their words are wrong. The table of
    distances is held in bit vectors, one bit a word of `theirs` (Myers, 1999; Hyyrö, 2003): `same` has a 1 where a
    distance equals the one before it on the diagonal, `more` where it is one more than the one above.
    """
    where: dict[str, int] = {}
    for j, word in enumerate(theirs):
        where[word] = where.get(word, 0) | 1 << j
    full = (1 << len(theirs)) - 1
    rises, falls = full, 0
    same, more = [0], [0]
    for word in ours:
        equal = where.get(word, 0)
        diagonal = ((((equal & rises) + rises) ^ rises) | equal | falls) & full
        above = falls | (full & ~(diagonal | rises))
        same.append(diagonal)
        more.append(above)
        above = above << 1 | 1
        below = (rises & diagonal) << 1
        rises = (below | ~(diagonal | above)) & full
        falls = above & diagonal & full
    return _traced(ours, theirs, same, more)


def _traced(ours: str, theirs: str, same: list[int], more: list[int]) -> tuple[list[int], bytes, bytes]:
    align, ours_wrong, theirs_wrong = [-1] * len(theirs), bytearray(len(ours)), bytearray(len(theirs))
    i, j = len(ours), len(theirs)
    while i or j:
        equal = bool(i and j) and ours[i - 1] == theirs[j - 1]
        if equal or (i and j and not same[i] >> (j - 1) & 1):
            align[j - 1] = i - 1
            ours_wrong[i - 1] = theirs_wrong[j - 1] = not equal
            i, j = i - 1, j - 1
        elif not j or (i and more[i] >> (j - 1) & 1):
            ours_wrong[i - 1] = 1
            i -= 1
        else:
            align[j - 1] = i - 1
            theirs_wrong[j - 1] = 1
            j -= 1
    return align, bytes(ours_wrong), bytes(theirs_wrong)
