"""The edits of many short texts at once: all are shifted once, then those that go on a second time, and so on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.metrics.ter_search_metrics_edits_limits import (
    MAX_BLOCK,
    MAX_CANDIDATES,
    MAX_DISTANCE,
    OUTSIDE_BEAM,
    leaves_beam,
)
from harness.metrics.ter_search_batched_metrics_edits_paths import (
    WIDTH,
    Bits,
    Paths,
    Swaps,
    chosen,
    distances,
    equal_words,
    paths,
)
from harness.metrics.token_ids import Encoded, IntArray, ranges
from harness.types import FloatArray

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
