"""Distances and paths of least edits of many short texts at once, in arrays of bit vectors.

Texts are in descending order of our words, so that those which have an i-th word are always the first ones.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.metrics.ter_search_metrics_edits_table import next_row
from harness.metrics.token_ids import Encoded, IntArray, ranges

WIDTH = 63
"""The most words whose bits an unsigned 64-bit integer holds with one to spare."""
TRIED = 8192
"""Swaps that are tried together: few enough for the processor's cache, many enough to hide numpy's overhead."""
Bits = NDArray[np.uint64]
ONE = np.uint64(1)
ColumnsT = TypeVar("ColumnsT", bound=NamedTuple)


class Paths(NamedTuple):
    """An alignment of each of t texts, as in alone.py."""

    before: IntArray
    """-1 and our position for each of their words, of all texts in a row."""
    begins: IntArray
    """Where a text begins in `before`, shape (t,)."""
    ours_wrong: Bits
    theirs_wrong: Bits
    starts: Bits
    """Where in theirs blocks may start that start at our word i, shape (i, t)."""
    rises: Bits
    """The state of the table before our word i, shape (i, t); see table.py."""
    falls: Bits


class Swaps(NamedTuple):
    """In some of the texts our words from `first` to `middle` change places with those from there to `last`."""

    texts: IntArray
    first: IntArray
    middle: IntArray
    last: IntArray

    def sources(self, step: int | IntArray) -> IntArray:
        """Return which word becomes the one that is `step` after the first."""
        back = self.last - self.middle
        moved_on = np.where(step < self.last - self.first, self.first - back, self.first)
        return np.asarray(step + np.where(step < back, self.middle, moved_on))


def equal_words(ours: Encoded, theirs: Encoded) -> Bits:
    """Return at [i, t] which words of their text t equal word i of ours."""
    width = max(int(ours.symbols.max()), int(theirs.symbols.max())) + 1
    our_texts, our_places = _places(ours)
    their_texts, their_places = _places(theirs)
    keys = their_texts * width + theirs.symbols[theirs.symbols > 0]
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    masks = np.bitwise_or.reduceat(ONE << their_places[order].astype(np.uint64), first)
    wanted = our_texts * width + ours.symbols[ours.symbols > 0]
    at = np.minimum(np.searchsorted(keys[first], wanted), len(first) - 1)
    equal = np.zeros((int(ours.lengths.max()), len(ours.lengths)), np.uint64)
    equal[our_places, our_texts] = np.where(keys[first][at] == wanted, masks[at], np.uint64(0))
    return equal


def _places(texts: Encoded) -> tuple[IntArray, IntArray]:
    """Return the text of each word, and its place there."""
    return texts.rows()[texts.symbols > 0], ranges(np.zeros_like(texts.lengths), texts.lengths)


def paths(equal: Bits, n_ours: IntArray, n_theirs: IntArray) -> Paths:
    """Align texts that have so many words, shape (t,)."""
    across, above, rises, falls = (np.zeros((len(equal) + 1, len(n_ours)), np.uint64) for _ in range(4))
    rises[0] = ~rises[0]
    having = _having_words(n_ours)
    for i, n in enumerate(having):
        row = next_row(equal[i, :n], rises[i, :n], falls[i, :n])
        across[i, :n], above[i, :n], rises[i + 1, :n], falls[i + 1, :n] = row
    placed, left = np.zeros_like(equal), _up_to(n_theirs)
    ours_wrong, theirs_wrong = np.zeros_like(left), np.zeros_like(left)
    for i, n in reversed(list(enumerate(having))):
        reached = _filled(left[:n] & (across[i, :n] | above[i, :n]))
        crossed = across[i, :n] & (reached ^ reached >> 1)
        right = crossed & equal[i, :n]
        ours_wrong[:n] |= (right == 0).astype(np.uint64) << np.uint64(i)
        theirs_wrong[:n] |= left[:n] ^ reached | crossed ^ right
        placed[i, :n] = left[:n] ^ reached ^ crossed
        left[:n] = reached ^ crossed
    theirs_wrong |= left
    after = np.concatenate([equal[1:] >> 1, np.zeros_like(equal[:1])])
    places = np.arange(len(equal), dtype=np.uint64)[:, None]
    starts = equal & (after | theirs_wrong * (ours_wrong >> places & ONE)) & ~placed
    sizes = np.concatenate([1 + np.bitwise_count(left)[None], np.bitwise_count(placed)]).T
    before = np.repeat(np.tile(np.arange(-1, len(equal)), len(sizes)), sizes.ravel())
    return Paths(before, np.cumsum(n_theirs + 1) - n_theirs - 1, ours_wrong, theirs_wrong, starts, rises, falls)


def distances(equal: Bits, n_ours: IntArray, n_theirs: IntArray, aligned: Paths, swaps: Swaps) -> IntArray:
    """Return the distance of a text after each swap, from the table of its alignment before it."""
    rows = n_ours[swaps.texts] - swaps.first
    order = np.argsort(-rows, kind="stable")
    found = np.empty_like(rows)
    for i in range(0, len(order), TRIED):
        some = order[i : i + TRIED]
        texts, first, _, _ = tried = chosen(swaps, some)
        rises, falls = aligned.rises[first, texts], aligned.falls[first, texts]
        for step, n in enumerate(_having_words(rows[some])):
            moved = equal[chosen(tried, slice(n)).sources(step), texts[:n]]
            _, _, rises[:n], falls[:n] = next_row(moved, rises[:n], falls[:n])
        words = _up_to(n_theirs[texts])
        found[some] = n_ours[texts] + np.bitwise_count(rises & words) - np.bitwise_count(falls & words).astype(np.int64)
    return found


def chosen(columns: ColumnsT, which: IntArray | NDArray[np.bool_] | slice) -> ColumnsT:
    """Return those rows of arrays of equal lengths."""
    return type(columns)(*(each[which] for each in columns))


def _having_words(lengths: IntArray) -> list[int]:
    """Return how many texts have a first word, a second one and so on; lengths descend."""
    found: list[int] = np.searchsorted(-lengths, -np.arange(lengths[0])).tolist()
    return found


def _up_to(n: IntArray) -> Bits:
    """Return the first n bits."""
    return np.asarray((ONE << n.astype(np.uint64)) - ONE)


def _filled(bits: Bits) -> Bits:
    """Set every bit below the highest one."""
    for step in (1, 2, 4, 8, 16, 32):
        bits = bits | bits >> np.uint64(step)
    return bits
