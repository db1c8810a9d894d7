"""The edits of one text of any length, which is a string with one character a word; its bit vectors are integers.

The table of edit distances between two texts, a row of it at a time, one bit a word of theirs.

Source: Hyyrö, 2003, after Myers, 1999 (https://doi.org/10.1145/316542.316550). A row may be an integer of Python's, for
a text of any length, or an array of unsigned ones, for many texts at once; bits above the last word mean nothing.

Tercom's limits as sacrebleu has them, and where its beam may leave out the best alignment.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

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


BitsT = TypeVar("BitsT", bound=Any)


def next_row(equal: BitsT, rises: BitsT, falls: BitsT) -> tuple[BitsT, BitsT, BitsT, BitsT]:
    """Return what the row of our word that is `equal` to those of theirs says of each of their words.

    A path of least edits can come across (the words are equal, or one is substituted for the other) or from above (our
    word is deleted), and the distance rises or falls by one from their word before. Before our first word, all rise.
    """
    level = (((equal & rises) + rises) ^ rises) | equal | falls
    above = falls | ~(level | rises)
    entered = above << 1 | 1
    return equal | ~level, above, (rises & level) << 1 | ~(level | entered), entered & level


class Alignment(NamedTuple):
    """The path of least edits that prefers substitution, then deletion, then insertion, as Tercom does.

    It has our position for each of their words, whose words are wrong, and where blocks may start that both texts hold.
    Bit j of a mask is word j. A block may start at a word of ours (first) and any of theirs (bits of second) that are
    equal but not aligned, if both are wrong or the words after them are equal as well.
    """

    to: list[int]
    ours_wrong: int
    theirs_wrong: int
    starts: list[tuple[int, int]]


class Shift(NamedTuple):
    """A candidate: errors that it takes away, and what decides between those that take away as many."""

    gain: int = 0
    length: int = MAX_BLOCK + 1
    minus_start: int = 0
    minus_target: int = 0


def edits_alone(ours: str, theirs: str, errors: int, floor: int, safe: float) -> int:
    """Count the edits and shifts that turn `ours` into `theirs`, or return OUTSIDE_BEAM.

    `errors` is their distance; no order of our words gets below `floor`, and only from `safe` on the beam matters.
    """
    shifts = checked = 0
    while errors > floor or errors >= safe:
        aligned = align(ours, theirs)
        if errors >= safe and leaves_beam(aligned.to, len(ours)):
            return OUTSIDE_BEAM
        shift, shifted, candidates = _best_shift(ours, theirs, aligned, errors, floor)
        checked += candidates
        if not shift.gain or checked >= MAX_CANDIDATES:
            break
        ours, errors, shifts = shifted, errors - shift.gain, shifts + 1
    return errors + shifts


def align(ours: str, theirs: str) -> Alignment:
    """Align two texts."""
    where: dict[str, int] = {}
    for j, word in enumerate(theirs):
        where[word] = where.get(word, 0) | 1 << j
    equal = [where.get(word, 0) for word in ours]
    across, above, rises, falls = [0] * len(ours), [0] * len(ours), -1, 0
    for i, here in enumerate(equal):
        across[i], above[i], rises, falls = next_row(here, rises, falls)
    to, placed, ours_wrong, theirs_wrong = [-1] * len(theirs), [0] * len(ours), 0, 0
    left = (1 << len(theirs)) - 1
    for i in reversed(range(len(ours))):
        last = (left & (across[i] | above[i])).bit_length()
        reached = (1 << last) - 1
        crossed = across[i] & (reached ^ reached >> 1)
        right = crossed & equal[i]
        ours_wrong |= (not right) << i
        theirs_wrong |= left ^ reached | crossed ^ right
        placed[i] = left ^ reached ^ crossed
        to[last - (crossed > 0) : left.bit_length()] = [i] * placed[i].bit_count()
        left = reached ^ crossed
    theirs_wrong |= left
    starts = []
    for start, (here, after) in enumerate(pairwise([*equal, 0])):
        both_wrong = theirs_wrong if ours_wrong >> start & 1 else 0
        if mask := here & (after >> 1 | both_wrong) & ~placed[start]:
            starts.append((start, mask))
    return Alignment(to, ours_wrong, theirs_wrong, starts)


def _best_shift(ours: str, theirs: str, aligned: Alignment, errors: int, floor: int) -> tuple[Shift, str, int]:
    """Return the shift that takes away most errors, the shifted text, and how many candidates were counted.

    Of equal gains the longest block wins, then the first block, then the first target. Nothing gains more than the
    errors less their floor nor, as moving a block is deleting and inserting it, than twice its length: candidates that
    cannot win are counted but not tried.
    """
    from rapidfuzz.distance import Levenshtein

    best, shifted, candidates, before = Shift(), ours, 0, [-1, *aligned.to]
    for start, at, length in _blocks(ours, theirs, aligned):
        positions = dict.fromkeys(before[at : at + length + 1])
        candidates += len(positions)
        most = min(errors - floor, 2 * length)
        for position in positions:
            if Shift(most, length, -start, -position - 1) > best:
                moved = _moved(ours, start, start + length, position + 1)
                shift = Shift(errors - Levenshtein.distance(moved, theirs), length, -start, -position - 1)
                if shift > best:
                    best, shifted = shift, moved
        if candidates >= MAX_CANDIDATES:
            break
    return best, shifted, candidates


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
