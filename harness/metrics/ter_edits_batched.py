"""TER's edits of thousands of pairs of short texts at once: the search of `harness.metrics.ter_edits` in numpy arrays.

A text is short if its words fit into the bits of an unsigned 64-bit integer, so that a row of the table of edit
distances is one array, with an integer per pair. All pairs are aligned and shifted once, those that can still improve
are aligned and shifted a second time, and so on. Pairs are in descending order of their hypothesis lengths: the pairs
that have an i-th word are then always the first ones of an array.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.metrics.ter_edits import (
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
"""The longest text, in words: one bit of an unsigned 64-bit integer is kept free."""
ALIGNED_PAIRS = 4096
"""Pairs that are aligned at once: few enough for the processor's cache, many enough to hide numpy's overhead."""
EVALUATED_SWAPS = 8192
"""Swaps that are evaluated at once; chosen like ALIGNED_PAIRS."""
BLOCK_STARTS = 16_384
"""Starts of blocks that are searched at once, which bounds the memory for texts that repeat themselves."""
PREFERENCE_BITS = 17
"""Bits that decide between shifts of equal gain: 4 for the block's length, 6 for its start and 7 for its target."""

Bits = NDArray[np.uint64]
ONE = np.uint64(1)
ColumnsT = TypeVar("ColumnsT", bound=NamedTuple)


@dataclass(slots=True)
class _Pairs:
    """Pairs of texts in the search; arrays of shape (t,), except `matches`. See `ter_edits.edits_single`."""

    rows: IntArray
    """The position of the pair among all pairs."""
    matches: Bits
    """Which reference words equal hypothesis word i, shape (i, t)."""
    n_hypothesis: IntArray
    n_reference: IntArray
    distances: IntArray
    bounds: IntArray
    safe: FloatArray
    shifts: IntArray
    candidates: IntArray

    def take(self, indices: IntArray) -> _Pairs:
        """Return the pairs at these indices."""
        pairs = _Pairs(*(getattr(self, field.name)[..., indices] for field in fields(self)))
        pairs.matches = pairs.matches[: pairs.n_hypothesis.max(initial=0)]
        return pairs


class Alignments(NamedTuple):
    """An alignment of each of t pairs, as `ter_edits.Alignment`."""

    positions: IntArray
    """For each pair in turn: -1, then the position in the hypothesis that each reference word is aligned with."""
    begins: IntArray
    """Where a pair begins in `positions`, shape (t,)."""
    hypothesis_errors: Bits
    reference_errors: Bits
    block_starts: Bits
    """In the reference, where blocks may start that start at hypothesis word i, shape (i, t)."""
    rises: Bits
    """The state of the table before hypothesis word i, shape (i, t); see `ter_edits.next_row`."""
    falls: Bits


class Swaps(NamedTuple):
    """Candidate shifts: the hypothesis words from `first` to `middle` trade places with those from there to `last`."""

    pairs: IntArray
    first: IntArray
    middle: IntArray
    last: IntArray

    def sources(self, step: int | IntArray) -> IntArray:
        """Return the position before the swap of the word that is `step` words after the first."""
        n_moved_back = self.last - self.middle
        moved_on = np.where(step < self.last - self.first, self.first - n_moved_back, self.first)
        return np.asarray(step + np.where(step < n_moved_back, self.middle, moved_on))


class _Blocks(NamedTuple):
    """Runs of words that both texts of a pair have: the pair, the starts in both texts, and the length."""

    pairs: IntArray
    starts: IntArray
    reference_starts: IntArray
    lengths: IntArray


def edits_batched(
    hypotheses: Encoded, references: Encoded, distances: IntArray, bounds: IntArray, safe: FloatArray
) -> IntArray:
    """Count the edits and shifts from each hypothesis to its reference, or return OUTSIDE_BEAM, shape (n,).

    `distances`, `bounds` and `safe` are as in `edits_single`, shape (n,); texts have from 1 to WIDTH words.
    """
    edits = distances.copy()
    by_length = np.argsort(-hypotheses.lengths, kind="stable")
    for first in range(0, len(by_length), ALIGNED_PAIRS):
        rows = by_length[first : first + ALIGNED_PAIRS]
        some, others = hypotheses.take(rows), references.take(rows)
        state = distances[rows], bounds[rows], safe[rows], np.zeros_like(rows), np.zeros_like(rows)
        pairs = _Pairs(rows, matching_words(some, others), some.lengths, others.lengths, *state)
        while len(pairs.rows):
            alignments = align_batch(pairs.matches, pairs.n_hypothesis, pairs.n_reference)
            outside = _outside_beam(pairs, alignments)
            shifted = _shift(pairs, alignments)
            edits[pairs.rows] = np.where(outside, OUTSIDE_BEAM, pairs.distances + pairs.shifts)
            unsettled = (pairs.distances > pairs.bounds) | (pairs.distances >= pairs.safe)
            pairs = pairs.take(np.flatnonzero(shifted & unsettled & ~outside))
    return edits


def matching_words(hypotheses: Encoded, references: Encoded) -> Bits:
    """Return at [i, t] a mask of the words of reference t that equal word i of hypothesis t."""
    width = max(int(hypotheses.symbols.max()), int(references.symbols.max())) + 1
    hypothesis_rows, hypothesis_places = _places(hypotheses)
    reference_rows, reference_places = _places(references)
    keys = reference_rows * width + references.symbols[references.symbols > 0]
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    masks = np.bitwise_or.reduceat(ONE << reference_places[order].astype(np.uint64), first)
    hypothesis_keys = hypothesis_rows * width + hypotheses.symbols[hypotheses.symbols > 0]
    at = np.minimum(np.searchsorted(keys[first], hypothesis_keys), len(first) - 1)
    matches = np.zeros((int(hypotheses.lengths.max()), len(hypotheses.lengths)), np.uint64)
    equal = keys[first][at] == hypothesis_keys
    matches[hypothesis_places, hypothesis_rows] = np.where(equal, masks[at], np.uint64(0))
    return matches


def _places(texts: Encoded) -> tuple[IntArray, IntArray]:
    """Return the text that each word belongs to, and its position there."""
    return texts.rows()[texts.symbols > 0], ranges(np.zeros_like(texts.lengths), texts.lengths)


def align_batch(matches: Bits, n_hypothesis: IntArray, n_reference: IntArray) -> Alignments:
    """Align pairs of so many words, shape (t,); `ter_edits.align` says how."""
    diagonal, deletion, rises, falls = (np.zeros((len(matches) + 1, len(n_hypothesis)), np.uint64) for _ in range(4))
    rises[0] = ~rises[0]
    counts = _texts_with_word(n_hypothesis)
    for i, n in enumerate(counts):
        row = next_row(matches[i, :n], rises[i, :n], falls[i, :n])
        diagonal[i, :n], deletion[i, :n], rises[i + 1, :n], falls[i + 1, :n] = row
    inserted, remaining = np.zeros_like(matches), _first_bits(n_reference)
    hypothesis_errors, reference_errors = np.zeros_like(remaining), np.zeros_like(remaining)
    for i, n in reversed(list(enumerate(counts))):
        reached = _filled(remaining[:n] & (diagonal[i, :n] | deletion[i, :n]))
        paired = diagonal[i, :n] & (reached ^ reached >> 1)
        correct = paired & matches[i, :n]
        hypothesis_errors[:n] |= (correct == 0).astype(np.uint64) << np.uint64(i)
        reference_errors[:n] |= remaining[:n] ^ reached | paired ^ correct
        inserted[i, :n] = remaining[:n] ^ reached ^ paired
        remaining[:n] = reached ^ paired
    reference_errors |= remaining
    following = np.concatenate([matches[1:] >> 1, np.zeros_like(matches[:1])])
    places = np.arange(len(matches), dtype=np.uint64)[:, None]
    block_starts = matches & (following | reference_errors * (hypothesis_errors >> places & ONE)) & ~inserted
    sizes = np.concatenate([1 + np.bitwise_count(remaining)[None], np.bitwise_count(inserted)]).T
    positions = np.repeat(np.tile(np.arange(-1, len(matches)), len(sizes)), sizes.ravel())
    begins = np.cumsum(n_reference + 1) - n_reference - 1
    return Alignments(positions, begins, hypothesis_errors, reference_errors, block_starts, rises, falls)


def _outside_beam(pairs: _Pairs, alignments: Alignments) -> NDArray[np.bool_]:
    """Return which alignments leave sacrebleu's beam, shape (t,)."""
    outside = np.zeros(len(pairs.rows), bool)
    for t in np.flatnonzero(pairs.distances >= pairs.safe).tolist():
        begin = int(alignments.begins[t]) + 1
        positions = alignments.positions[begin : begin + int(pairs.n_reference[t])]
        outside[t] = leaves_beam(positions.tolist(), int(pairs.n_hypothesis[t]))
    return outside


def _shift(pairs: _Pairs, alignments: Alignments) -> NDArray[np.bool_]:
    """Make the best shift of each pair, and return which pairs have one, shape (t,)."""
    best = np.zeros(len(pairs.rows), np.int64)
    group = np.cumsum(np.bitwise_count(alignments.block_starts).sum(axis=0, dtype=np.int64)) // BLOCK_STARTS
    edges = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(group)]
    for first, last in pairwise(edges):
        swaps, preference = _candidates(pairs, alignments, _blocks(pairs, alignments, first, last))
        distances = distances_after(pairs, alignments, swaps)
        gain = pairs.distances[swaps.pairs] - distances
        rank = np.where(gain > 0, gain << PREFERENCE_BITS | preference, 0)
        np.maximum.at(best, swaps.pairs, rank)
        is_best = np.flatnonzero((rank > 0) & (rank == best[swaps.pairs]))
        winners = take(swaps, is_best)
        places = np.arange(len(pairs.matches))[:, None]
        sources = np.where(places < winners.first, places, winners.sources(places - winners.first))
        pairs.matches[:, winners.pairs] = pairs.matches[sources, winners.pairs]
        pairs.distances[winners.pairs] = distances[is_best]
    pairs.shifts += best > 0
    return best > 0


def _blocks(pairs: _Pairs, alignments: Alignments, first: int, last: int) -> _Blocks:
    """Return the blocks of the pairs from `first` to `last` that can be moved, and count their candidates.

    A block cannot be moved if it is in place already, or if all of its words are correct in one of the texts. A pair
    that has had MAX_CANDIDATES has no more blocks.
    """
    starts, texts = np.nonzero(alignments.block_starts[:, first:last])
    masks = alignments.block_starts[starts, first + texts].astype("<u8").view(np.uint8).reshape(-1, 8)
    which, at = np.nonzero(np.unpackbits(masks, axis=1, bitorder="little"))
    common = _Blocks(first + texts[which], starts[which], at, np.ones_like(at))
    common = take(common, abs(common.reference_starts - common.starts) <= MAX_DISTANCE)
    changes = np.cumsum(np.diff(alignments.positions, prepend=-1) != 0)
    movable_blocks = [take(common, slice(0))]
    for length in range(1, MAX_BLOCK + 1):
        if not len(common.pairs):
            break
        texts, starts, at, _ = common
        begins, words = alignments.begins[texts] + at, np.uint64((1 << length) - 1)
        hypothesis_errors = alignments.hypothesis_errors[texts] >> starts.astype(np.uint64) & words
        reference_errors = alignments.reference_errors[texts] >> at.astype(np.uint64) & words
        aligned_with = alignments.positions[begins + 1]
        in_place = (aligned_with >= starts) & (aligned_with < starts + length)
        movable = (hypothesis_errors > 0) & (reference_errors > 0) & ~in_place
        n_targets = 1 + changes[begins + length] - changes[begins]
        pairs.candidates += np.bincount(texts, n_targets * movable, len(pairs.rows)).astype(np.int64)
        movable_blocks.append(take(common, movable))
        common = _longer(pairs, common, length)
    blocks = _Blocks(*map(np.concatenate, zip(*movable_blocks, strict=True)))
    return take(blocks, pairs.candidates[blocks.pairs] < MAX_CANDIDATES)


def _longer(pairs: _Pairs, blocks: _Blocks, length: int) -> _Blocks:
    """Return the blocks of `length` words, one word longer, where the next words match too."""
    in_search = pairs.candidates[blocks.pairs] < MAX_CANDIDATES
    blocks = take(blocks, in_search & (blocks.starts + length < len(pairs.matches)))
    after = np.minimum(blocks.reference_starts + length, WIDTH).astype(np.uint64)
    match = pairs.matches[blocks.starts + length, blocks.pairs] >> after & ONE > 0
    return take(blocks, match)._replace(lengths=np.full(match.sum(), length + 1))


def _candidates(pairs: _Pairs, alignments: Alignments, blocks: _Blocks) -> tuple[Swaps, IntArray]:
    """Return the shifts of blocks to all of their targets, and the preference among shifts of equal gain.

    The longest block is preferred, then the first block, then the first target.
    """
    n_targets = blocks.lengths + 1
    which = np.repeat(np.arange(len(n_targets)), n_targets)
    texts, starts, _, lengths = take(blocks, which)
    places = ranges(alignments.begins[blocks.pairs] + blocks.reference_starts, n_targets)
    targets = alignments.positions[places] + 1
    ends, n_hypothesis = starts + lengths, pairs.n_hypothesis[texts]
    beyond = np.where(targets > ends, targets, np.minimum(targets + lengths, n_hypothesis))
    back = targets < starts
    swaps = Swaps(texts, np.where(back, targets, starts), np.where(back, starts, ends), np.where(back, ends, beyond))
    preference = (lengths << 6 | WIDTH - starts) << 7 | WIDTH + 1 - targets
    distinct = (np.diff(which, prepend=-1) > 0) | (np.diff(targets, prepend=-1) > 0)
    return take(swaps, distinct), preference[distinct]


def distances_after(pairs: _Pairs, alignments: Alignments, swaps: Swaps) -> IntArray:
    """Return the edit distance after each swap, from the table of the alignment up to the first swapped word."""
    n_rows = pairs.n_hypothesis[swaps.pairs] - swaps.first
    order = np.argsort(-n_rows, kind="stable")
    distances = np.empty_like(n_rows)
    for i in range(0, len(order), EVALUATED_SWAPS):
        some = order[i : i + EVALUATED_SWAPS]
        texts, first, _, _ = evaluated = take(swaps, some)
        rises, falls = alignments.rises[first, texts], alignments.falls[first, texts]
        for step, n in enumerate(_texts_with_word(n_rows[some])):
            matches = pairs.matches[take(evaluated, slice(n)).sources(step), texts[:n]]
            _, _, rises[:n], falls[:n] = next_row(matches, rises[:n], falls[:n])
        words = _first_bits(pairs.n_reference[texts])
        change = np.bitwise_count(rises & words) - np.bitwise_count(falls & words).astype(np.int64)
        distances[some] = pairs.n_hypothesis[texts] + change
    return distances


def take(columns: ColumnsT, indices: IntArray | NDArray[np.bool_] | slice) -> ColumnsT:
    """Return the same rows of all columns."""
    return type(columns)(*(column[indices] for column in columns))


def _texts_with_word(lengths: IntArray) -> list[int]:
    """Return how many texts have a first word, a second one and so on; lengths descend."""
    counts: list[int] = np.searchsorted(-lengths, -np.arange(lengths[0])).tolist()
    return counts


def _first_bits(n: IntArray) -> Bits:
    """Return integers of which the first n bits are set."""
    return np.asarray((ONE << n.astype(np.uint64)) - ONE)


def _filled(bits: Bits) -> Bits:
    """Set every bit below the highest one."""
    for step in (1, 2, 4, 8, 16, 32):
        bits = bits | bits >> np.uint64(step)
    return bits
