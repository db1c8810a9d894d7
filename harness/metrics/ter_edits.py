"""TER's edits of one pair of texts of any length, by the greedy search of Tercom as sacrebleu implements it.

The fewest insertions, deletions, substitutions and shifts of blocks of words are NP-complete to find, so Tercom
(https://github.com/jhclark/tercom, Snover et al., 2006) searches greedily:

1. Align the hypothesis with the reference by edit distance. Among alignments of equal distance, substitution is
   preferred to deletion, and deletion to insertion.
2. A block is a run of up to MAX_BLOCK words that both texts have at most MAX_DISTANCE words apart, and that contains an
   error on both sides. It may be moved before or behind the hypothesis words that its reference words are aligned with.
3. Make the shift that reduces the edit distance most; among equal ones, that of the longest block, then of the first
   block, then to the first target.
4. Repeat until no shift reduces the distance, or until MAX_CANDIDATES shifts have been considered. The edits are the
   shifts made plus the remaining distance.

The count depends on how ties are broken, so the order of candidates, the limits and the preferences are those of
sacrebleu's `lib_ter.py` (Post, 2018). Only the computation differs: a row of the table of edit distances is a bit
vector with one bit per reference word (Hyyrö, 2003, after Myers, 1999, https://doi.org/10.1145/316542.316550), and
shifts that cannot win are not evaluated. sacrebleu's edit distance looks only at a beam around the diagonal; where the
best alignment may lie outside it, the result is OUTSIDE_BEAM, and `harness.metrics.ter_edits_beam` searches there. The
vectors of an alignment take n²/2 bytes, so that module also takes texts of more than LONG words.

Texts are strings here, with one character per word.
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
"""The search ends after so many candidate shifts."""
BEAM = 25
"""How far from the diagonal sacrebleu's edit distance looks, in words."""
LONG = 1000
"""Above so many words, a search in the beam needs less time, and memory that grows with the words, not their square."""
OUTSIDE_BEAM = -1
"""Returned instead of a count that depends on sacrebleu's beam."""


def edits_single(hypothesis: str, reference: str, distance: int, bound: int, safe: float) -> int:
    """Count the edits and shifts that turn `hypothesis` into `reference`, or return OUTSIDE_BEAM.

    `distance` is their edit distance, `bound` its lower bound over all orders of the hypothesis' words, and `safe` the
    distance below which the beam cannot matter; see `safe_distance`.
    """
    shifts = candidates = 0
    while distance > bound or distance >= safe:
        alignment = align(hypothesis, reference)
        if distance >= safe and leaves_beam(alignment.positions, len(hypothesis)):
            return OUTSIDE_BEAM
        shift, shifted, considered = _best_shift(hypothesis, reference, alignment, distance, bound)
        candidates += considered
        if not shift.gain or candidates >= MAX_CANDIDATES:
            break
        hypothesis, distance, shifts = shifted, distance - shift.gain, shifts + 1
    return distance + shifts


@cache
def safe_distance(n_hypothesis: int, n_reference: int) -> float:
    """Return the least distance of an alignment that leaves the beam; below it, the beam changes nothing.

    A path through cell (i, j) costs at least |j - i| + |j - i - (n_reference - n_hypothesis)|, which is least between
    i and i + n_reference - n_hypothesis; so in each row the cells next to the beam, or there, are the cheapest ones.
    """
    if not n_hypothesis:
        return np.inf
    slope, width = beam(n_hypothesis, n_reference)
    longer = n_reference - n_hypothesis
    i = np.arange(1, n_hypothesis + 1)
    diagonal = np.floor(i * slope)
    before = np.minimum(diagonal - width - 1, np.minimum(i, i + longer))
    after = np.maximum(diagonal + width, np.maximum(i, i + longer))
    sides = (
        (before, before >= 0),
        (np.minimum(after, n_reference), (diagonal + width <= n_reference) & (i < n_hypothesis)),
    )
    least = [np.min((abs(j - i) + abs(j - i - longer))[outside], initial=np.inf) for j, outside in sides]
    return float(min(least))


def leaves_beam(positions: Sequence[int], n_hypothesis: int) -> bool:
    """Return whether an alignment, the hypothesis position of each reference word, leaves the beam."""
    slope, width = beam(n_hypothesis, len(positions))
    reached = [0, *(position + 1 for position in positions), n_hypothesis]
    return any(
        j < int(last * slope) - width or (first < n_hypothesis and j >= int(max(first, 1) * slope) + width)
        for j, (first, last) in enumerate(pairwise(reached))
    )


def beam(n_hypothesis: int, n_reference: int) -> tuple[float, int]:
    """Return the slope of the diagonal, and the half-width of sacrebleu's beam around it."""
    slope = n_reference / n_hypothesis
    return slope, BEAM if slope / 2 <= BEAM else math.ceil(slope / 2 + BEAM)


BitsT = TypeVar("BitsT", bound=Any)


def next_row(matches: BitsT, rises: BitsT, falls: BitsT) -> tuple[BitsT, BitsT, BitsT, BitsT]:
    """Compute the row of edit distances of the next hypothesis word; return (diagonal, deletion, rises, falls).

    Bit j of each vector is reference word j: whether it `matches` the hypothesis word; whether the distance rises or
    falls by one from the reference word before; whether a path of least distance comes from the diagonal (the words
    match, or one is substituted for the other), or from above (the hypothesis word is deleted). Before the first
    hypothesis word, all bits rise. A vector is a Python integer, or an array of unsigned integers for many texts at
    once; bits above the last word have no meaning.
    """
    level = (((matches & rises) + rises) ^ rises) | matches | falls
    deletion = falls | ~(level | rises)
    entered = deletion << 1 | 1
    return matches | ~level, deletion, (rises & level) << 1 | ~(level | entered), entered & level


class Alignment(NamedTuple):
    """The preferred alignment of least edit distance; bit i of a mask is word i.

    A block may start at a hypothesis word and a reference word that match but are not aligned with each other, if both
    are errors or the words after them match as well.
    """

    positions: list[int]
    """The position in the hypothesis that each reference word is aligned with."""
    hypothesis_errors: int
    reference_errors: int
    block_starts: list[tuple[int, int]]
    """Positions in the hypothesis where blocks may start, each with a mask of the positions in the reference."""


def align(hypothesis: str, reference: str) -> Alignment:
    """Align two texts: compute the table of edit distances row by row, and trace the path back from its end."""
    masks: dict[str, int] = {}
    for j, word in enumerate(reference):
        masks[word] = masks.get(word, 0) | 1 << j
    matches = [masks.get(word, 0) for word in hypothesis]
    diagonal, deletion, rises, falls = [0] * len(hypothesis), [0] * len(hypothesis), -1, 0
    for i, row in enumerate(matches):
        diagonal[i], deletion[i], rises, falls = next_row(row, rises, falls)
    positions, inserted = [-1] * len(reference), [0] * len(hypothesis)
    hypothesis_errors, reference_errors, remaining = 0, 0, (1 << len(reference)) - 1
    for i in reversed(range(len(hypothesis))):
        end = (remaining & (diagonal[i] | deletion[i])).bit_length()
        reached = (1 << end) - 1
        paired = diagonal[i] & (reached ^ reached >> 1)
        correct = paired & matches[i]
        hypothesis_errors |= (not correct) << i
        reference_errors |= remaining ^ reached | paired ^ correct
        inserted[i] = remaining ^ reached ^ paired
        positions[end - (paired > 0) : remaining.bit_length()] = [i] * inserted[i].bit_count()
        remaining = reached ^ paired
    reference_errors |= remaining
    block_starts = []
    for start, (row, following) in enumerate(pairwise([*matches, 0])):
        both_errors = reference_errors if hypothesis_errors >> start & 1 else 0
        if mask := row & (following >> 1 | both_errors) & ~inserted[start]:
            block_starts.append((start, mask))
    return Alignment(positions, hypothesis_errors, reference_errors, block_starts)


class Shift(NamedTuple):
    """A candidate shift, in the order of preference: the larger tuple wins."""

    gain: int = 0
    """By how much it reduces the edit distance."""
    length: int = MAX_BLOCK + 1
    minus_start: int = 0
    minus_target: int = 0


def _best_shift(
    hypothesis: str, reference: str, alignment: Alignment, distance: int, bound: int
) -> tuple[Shift, str, int]:
    """Return the best shift, the shifted hypothesis, and the number of candidates.

    A shift gains at most `distance - bound` and, as moving a block amounts to deleting and inserting its words, twice
    its length. Candidates that cannot win are counted but not evaluated.
    """
    from rapidfuzz.distance import Levenshtein

    best, shifted, candidates, before = Shift(), hypothesis, 0, [-1, *alignment.positions]
    for start, reference_start, length in _blocks(hypothesis, reference, alignment):
        positions = dict.fromkeys(before[reference_start : reference_start + length + 1])
        candidates += len(positions)
        max_gain = min(distance - bound, 2 * length)
        for position in positions:
            if Shift(max_gain, length, -start, -position - 1) > best:
                moved = move(hypothesis, start, start + length, position + 1)
                shift = Shift(distance - Levenshtein.distance(moved, reference), length, -start, -position - 1)
                if shift > best:
                    best, shifted = shift, moved
        if candidates >= MAX_CANDIDATES:
            break
    return best, shifted, candidates


def _blocks(hypothesis: str, reference: str, alignment: Alignment) -> Iterator[tuple[int, int, int]]:
    """Yield the start in the hypothesis, the start in the reference and the length of each block that can be moved.

    A block cannot be moved if it is in place already, or if all of its words are correct in one of the texts.
    """
    for start, reference_starts in alignment.block_starts:
        while reference_starts:
            reference_start = (reference_starts & -reference_starts).bit_length() - 1
            reference_starts &= reference_starts - 1
            if abs(reference_start - start) > MAX_DISTANCE:
                continue
            longest = min(MAX_BLOCK, len(hypothesis) - start, len(reference) - reference_start)
            for length in range(1, longest + 1):
                if hypothesis[start + length - 1] != reference[reference_start + length - 1]:
                    break
                words = (1 << length) - 1
                hypothesis_errors = alignment.hypothesis_errors >> start & words
                reference_errors = alignment.reference_errors >> reference_start & words
                in_place = start <= alignment.positions[reference_start] < start + length
                if hypothesis_errors and reference_errors and not in_place:
                    yield start, reference_start, length


def move(words: str, start: int, end: int, target: int) -> str:
    """Move words[start:end] before the word at `target`; one inside the block moves it `target - start` words on."""
    block = words[start:end]
    if target < start:
        return words[:target] + block + words[target:start] + words[end:]
    rest = target if target > end else target + end - start
    return words[:start] + words[end:rest] + block + words[rest:]
