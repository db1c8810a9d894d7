"""Words aligned along the path of least edits that prefers substitution, then deletion, then insertion, as Tercom does.

The table of distances is held in bit vectors, one bit a word of `theirs` (Myers, 1999; Hyyrö, 2003): `same` has a 1
where a distance equals the one before it on the diagonal, `more` where it is one more than the one above. Python's
integers hold texts of any length; many texts of up to 63 words are aligned at once, a word of each at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.metrics.encoded import Encoded, IntArray, ranges

WIDTH = 63
"""The most words whose bits an unsigned 64-bit integer holds with one to spare."""
TOGETHER = 2048
"""Texts that are aligned together: few enough for the processor's cache, many enough to hide numpy's overhead."""
Bits = NDArray[np.uint64]


class Alignment(NamedTuple):
    """Our position for each of their words, whose words are wrong, and where blocks may start that both texts hold.

    Bit j of a mask is word j. A block may start at a word of ours (first) and any of theirs (bits of second) that are
    equal but not aligned, if both are wrong or the words after them are equal as well.
    """

    to: list[int]
    ours_wrong: int
    theirs_wrong: int
    starts: list[tuple[int, int]]


def align(ours: str, theirs: str) -> Alignment:
    """Align two texts of any length that have one character a word."""
    where: dict[str, int] = {}
    for j, word in enumerate(theirs):
        where[word] = where.get(word, 0) | 1 << j
    equal = [where.get(word, 0) for word in ours]
    full = (1 << len(theirs)) - 1
    rises, falls = full, 0
    same, more = [], []
    for here in equal:
        diagonal = ((((here & rises) + rises) ^ rises) | here | falls) & full
        above = falls | (full ^ (diagonal | rises))
        same.append(diagonal ^ here)
        more.append(above)
        above = (above << 1 | 1) & full
        rises = ((rises & diagonal) << 1 & full) | (full ^ (diagonal | above))
        falls = above & diagonal
    return _traced(len(theirs), equal, same, more)


def _traced(n_theirs: int, equal: list[int], same: list[int], more: list[int]) -> Alignment:
    to, placed, ours_wrong, theirs_wrong = [-1] * n_theirs, [0] * len(equal), 0, 0
    i, j = len(equal) - 1, n_theirs - 1
    while i >= 0 and j >= 0:
        diagonal = not same[i] >> j & 1
        deleted = not diagonal and more[i] >> j & 1
        wrong = not (diagonal and equal[i] >> j & 1)
        if not deleted:
            to[j] = i
            placed[i] |= 1 << j
            theirs_wrong |= wrong << j
        if diagonal or deleted:
            ours_wrong |= wrong << i
            i -= 1
        j -= not deleted
    ours_wrong, theirs_wrong = ours_wrong | (1 << i + 1) - 1, theirs_wrong | (1 << j + 1) - 1
    starts = []
    for start, (here, after) in enumerate(pairwise([*equal, 0])):
        both_wrong = theirs_wrong if ours_wrong >> start & 1 else 0
        if mask := here & (after >> 1 | both_wrong) & ~placed[start]:
            starts.append((start, mask))
    return Alignment(to, ours_wrong, theirs_wrong, starts)


def align_all(ours: Sequence[str], theirs: Sequence[str]) -> list[Alignment]:
    """Align many texts as `align` does; those that are short enough are aligned together."""
    longest = np.fromiter(map(max, map(len, ours), map(len, theirs)), np.int64, len(ours))
    shortest = np.fromiter(map(min, map(len, ours), map(len, theirs)), np.int64, len(ours))
    found: dict[int, Alignment] = {}
    short = np.flatnonzero((longest <= WIDTH) & (shortest > 0))
    by_length = short[np.argsort(longest[short])].tolist()
    for first in range(0, len(by_length), TOGETHER):
        rows = by_length[first : first + TOGETHER]
        encoded = (Encoded.of_strings(texts[i] for i in rows) for texts in (ours, theirs))
        found.update(zip(rows, _together(*encoded), strict=True))
    return [found[i] if i in found else align(ours[i], theirs[i]) for i in range(len(ours))]


def _together(ours: Encoded, theirs: Encoded) -> list[Alignment]:
    """Align texts at once; bits of position i of text t are at [i, t]."""
    equal = _equal(ours, theirs)
    full = (np.uint64(1) << theirs.lengths.astype(np.uint64)) - np.uint64(1)
    rises, falls = full.copy(), np.zeros_like(full)
    same, more = np.empty_like(equal), np.empty_like(equal)
    for i, here in enumerate(equal):
        diagonal = ((((here & rises) + rises) ^ rises) | here | falls) & full
        above = falls | (full ^ (diagonal | rises))
        same[i], more[i] = diagonal ^ here, above
        above = (above << 1 | 1) & full
        rises = ((rises & diagonal) << 1 & full) | (full ^ (diagonal | above))
        falls = above & diagonal
    return _traced_together(ours.lengths, theirs.lengths, equal, same, more)


def _equal(ours: Encoded, theirs: Encoded) -> Bits:
    """Return at [i, t] which words of their text t equal word i of ours."""
    width = max(int(ours.symbols.max()), int(theirs.symbols.max())) + 1
    our_texts, our_places = _places(ours)
    their_texts, their_places = _places(theirs)
    keys = their_texts * width + theirs.symbols[theirs.symbols > 0]
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    masks = np.bitwise_or.reduceat(np.uint64(1) << their_places[order].astype(np.uint64), first)
    wanted = our_texts * width + ours.symbols[ours.symbols > 0]
    at = np.minimum(np.searchsorted(keys[first], wanted), len(first) - 1)
    equal = np.zeros((int(ours.lengths.max()), len(ours.lengths)), np.uint64)
    equal[our_places, our_texts] = np.where(keys[first][at] == wanted, masks[at], np.uint64(0))
    return equal


def _places(texts: Encoded) -> tuple[IntArray, IntArray]:
    """Return the text of each word, and its place there."""
    return texts.rows()[texts.symbols > 0], ranges(np.zeros_like(texts.lengths), texts.lengths)


def _traced_together(n_ours: IntArray, n_theirs: IntArray, equal: Bits, same: Bits, more: Bits) -> list[Alignment]:
    one, texts = np.uint64(1), np.arange(len(n_ours))
    positions, placed = np.full((len(texts), int(n_theirs.max())), -1), np.zeros_like(equal)
    ours_wrong, theirs_wrong = np.zeros(len(texts), np.uint64), np.zeros(len(texts), np.uint64)
    i, j, left = n_ours - 1, n_theirs - 1, texts
    while len(left):
        a, b = i[left], j[left]
        our_bit, their_bit = one << a.astype(np.uint64), one << b.astype(np.uint64)
        diagonal = same[a, left] & their_bit == 0
        deleted = ~diagonal & (more[a, left] & their_bit > 0)
        inserted = ~(diagonal | deleted)
        wrong = ~(diagonal & (equal[a, left] & their_bit > 0))
        ours_wrong[left] |= our_bit * (wrong & ~inserted)
        theirs_wrong[left] |= their_bit * (wrong & ~deleted)
        kept = ~deleted
        positions[left[kept], b[kept]] = a[kept]
        placed[a, left] |= their_bit * kept
        i[left], j[left] = a - ~inserted, b - kept
        left = left[(i[left] >= 0) & (j[left] >= 0)]
    ours_wrong |= (one << (i + 1).astype(np.uint64)) - one
    theirs_wrong |= (one << (j + 1).astype(np.uint64)) - one
    places = np.arange(len(equal), dtype=np.uint64)[:, None]
    after = np.concatenate([equal[1:] >> one, np.zeros((1, len(texts)), np.uint64)])
    starts = (equal & (after | theirs_wrong * (ours_wrong >> places & one)) & ~placed).T
    at, start = np.nonzero(starts)
    blocks = list(zip(start.tolist(), starts[at, start].tolist(), strict=True))
    ends = np.searchsorted(at, texts, side="right").tolist()
    rows = zip(
        positions.tolist(),
        n_theirs.tolist(),
        ours_wrong.tolist(),
        theirs_wrong.tolist(),
        [0, *ends],
        ends,
        strict=False,
    )
    return [Alignment(to[:n], ours, theirs, blocks[a:b]) for to, n, ours, theirs, a, b in rows]
