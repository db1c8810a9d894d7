"""The edits of many short texts at once: all are shifted once, then those that go on a second time, and so on.

Distances and paths of least edits of many short texts at once, in arrays of bit vectors.

Texts are in descending order of our words, so that those which have an i-th word are always the first ones.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.metrics.ter_search import (
    MAX_BLOCK,
    MAX_CANDIDATES,
    MAX_DISTANCE,
    OUTSIDE_BEAM,
    leaves_beam,
    next_row,
)
from harness.metrics.token_ids import Encoded, IntArray, ranges
from harness.types import FloatArray

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


TOGETHER = 4096
"""Texts that are aligned together: few enough for the processor's cache, many enough to hide numpy's overhead."""
STARTS = 16_384
"""Starts of blocks that are looked at together, which bounds the memory of texts that repeat themselves."""

PREFERENCE_BITS = 17
"""Bits that hold what decides between shifts of equal gain: 4 for the block's length, 6 and 7 for its two places."""


@dataclass(slots=True)
class _Pairs:
    """Pairs of texts on their way, in descending order of our words; all of shape (t,) but `equal`."""

    rows: IntArray
    """Which pair of all it is."""
    equal: Bits
    """Which of their words equal our word i, shape (i, t)."""
    n_ours: IntArray
    n_theirs: IntArray
    errors: IntArray
    floors: IntArray
    safe: FloatArray
    shifts: IntArray
    checked: IntArray
    """Candidates that were counted."""

    def chosen(self, which: IntArray) -> _Pairs:
        """Return those pairs."""
        pairs = _Pairs(*(getattr(self, field.name)[..., which] for field in fields(self)))
        pairs.equal = pairs.equal[: pairs.n_ours.max(initial=0)]
        return pairs


class _Blocks(NamedTuple):
    """Words of ours that stand elsewhere in theirs: of which text, where they start in both, how many they are."""

    texts: IntArray
    starts: IntArray
    at: IntArray
    lengths: IntArray


def edits_together(ours: Encoded, theirs: Encoded, errors: IntArray, floors: IntArray, safe: FloatArray) -> IntArray:
    """Count the edits and shifts that turn each of our texts into theirs, or return OUTSIDE_BEAM, shape (n,).

    `errors`, `floors` and `safe` are as in `edits_alone`, shape (n,); texts have from 1 to WIDTH words.
    """
    counts = errors.copy()
    by_length = np.argsort(-ours.lengths, kind="stable")
    for first in range(0, len(by_length), TOGETHER):
        rows = by_length[first : first + TOGETHER]
        a, b = ours.chosen(rows), theirs.chosen(rows)
        known = errors[rows], floors[rows], safe[rows], np.zeros_like(rows), np.zeros_like(rows)
        pairs = _Pairs(rows, equal_words(a, b), a.lengths, b.lengths, *known)
        while len(pairs.rows):
            aligned = paths(pairs.equal, pairs.n_ours, pairs.n_theirs)
            outside = _outside_beam(pairs, aligned)
            shifted = _shift(pairs, aligned)
            counts[pairs.rows] = np.where(outside, OUTSIDE_BEAM, pairs.errors + pairs.shifts)
            unsettled = (pairs.errors > pairs.floors) | (pairs.errors >= pairs.safe)
            pairs = pairs.chosen(np.flatnonzero(shifted & unsettled & ~outside))
    return counts


def _outside_beam(pairs: _Pairs, aligned: Paths) -> NDArray[np.bool_]:
    outside = np.zeros(len(pairs.rows), bool)
    for t in np.flatnonzero(pairs.errors >= pairs.safe).tolist():
        begin = int(aligned.begins[t]) + 1
        to = aligned.before[begin : begin + int(pairs.n_theirs[t])]
        outside[t] = leaves_beam(to.tolist(), int(pairs.n_ours[t]))
    return outside


def _shift(pairs: _Pairs, aligned: Paths) -> NDArray[np.bool_]:
    """Shift the block of each text that takes away most errors, and return where there is one, shape (t,)."""
    best = np.zeros(len(pairs.rows), np.int64)
    group = np.cumsum(np.bitwise_count(aligned.starts).sum(axis=0, dtype=np.int64)) // STARTS
    edges = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(group)]
    for first, last in pairwise(edges):
        swaps, preference = _candidates(pairs, aligned, _blocks(pairs, aligned, first, last))
        left = distances(pairs.equal, pairs.n_ours, pairs.n_theirs, aligned, swaps)
        gain = pairs.errors[swaps.texts] - left
        rank = np.where(gain > 0, gain << PREFERENCE_BITS | preference, 0)
        np.maximum.at(best, swaps.texts, rank)
        won = np.flatnonzero((rank > 0) & (rank == best[swaps.texts]))
        winners = chosen(swaps, won)
        places = np.arange(len(pairs.equal))[:, None]
        sources = np.where(places < winners.first, places, winners.sources(places - winners.first))
        pairs.equal[:, winners.texts] = pairs.equal[sources, winners.texts]
        pairs.errors[winners.texts] = left[won]
    pairs.shifts += best > 0
    return best > 0


def _blocks(pairs: _Pairs, aligned: Paths, first: int, last: int) -> _Blocks:
    """Return the blocks of texts from `first` to `last` that are common and can be moved, and count their candidates.

    A block cannot be moved where it is in place, nor where all of its words are right in one of the texts. A text that
    has had too many candidates has no block any more.
    """
    starts, texts = np.nonzero(aligned.starts[:, first:last])
    masks = aligned.starts[starts, first + texts].astype("<u8").view(np.uint8).reshape(-1, 8)
    which, at = np.nonzero(np.unpackbits(masks, axis=1, bitorder="little"))
    common = _Blocks(first + texts[which], starts[which], at, np.ones_like(at))
    common = chosen(common, abs(common.at - common.starts) <= MAX_DISTANCE)
    moves = np.cumsum(np.diff(aligned.before, prepend=-1) != 0)
    found = [chosen(common, slice(0))]
    for length in range(1, MAX_BLOCK + 1):
        if not len(common.texts):
            break
        texts, starts, at, _ = common
        begins, words = aligned.begins[texts] + at, np.uint64((1 << length) - 1)
        our_wrong = aligned.ours_wrong[texts] >> starts.astype(np.uint64) & words
        their_wrong = aligned.theirs_wrong[texts] >> at.astype(np.uint64) & words
        to = aligned.before[begins + 1]
        movable = (our_wrong > 0) & (their_wrong > 0) & ((to < starts) | (to >= starts + length))
        positions = 1 + moves[begins + length] - moves[begins]
        pairs.checked += np.bincount(texts, positions * movable, len(pairs.rows)).astype(np.int64)
        found.append(chosen(common, movable))
        common = chosen(common, (pairs.checked[texts] < MAX_CANDIDATES) & (starts + length < len(pairs.equal)))
        texts, starts, at, _ = common
        after = np.minimum(at + length, WIDTH).astype(np.uint64)
        equal = pairs.equal[starts + length, texts] >> after & np.uint64(1) > 0
        common = chosen(common, equal)._replace(lengths=np.full(equal.sum(), length + 1))
    blocks = _Blocks(*map(np.concatenate, zip(*found, strict=True)))
    return chosen(blocks, pairs.checked[blocks.texts] < MAX_CANDIDATES)


def _candidates(pairs: _Pairs, aligned: Paths, blocks: _Blocks) -> tuple[Swaps, IntArray]:
    """Return the shifts to try, and how much each is preferred: the longest block, then the first block and target."""
    sizes = blocks.lengths + 1
    which = np.repeat(np.arange(len(sizes)), sizes)
    texts, starts, _, lengths = chosen(blocks, which)
    places = ranges(aligned.begins[blocks.texts] + blocks.at, sizes)
    targets = aligned.before[places] + 1
    ends, n_ours = starts + lengths, pairs.n_ours[texts]
    beyond = np.where(targets > ends, targets, np.minimum(targets + lengths, n_ours))
    back = targets < starts
    swaps = Swaps(texts, np.where(back, targets, starts), np.where(back, starts, ends), np.where(back, ends, beyond))
    preference = (lengths << 6 | WIDTH - starts) << 7 | WIDTH + 1 - targets
    new = (np.diff(which, prepend=-1) > 0) | (np.diff(targets, prepend=-1) > 0)
    return chosen(swaps, new), preference[new]
