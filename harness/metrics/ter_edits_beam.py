"""TER's edits of one pair in sacrebleu's beam, in memory that grows with the number of words, not with its square.

sacrebleu's edit distance fills only cells of its table near the diagonal, see `ter_edits.beam`. Where the best
alignment may lie outside, or texts are long, the search of `harness.metrics.ter_edits` is run here on rows of that
beam: from the start of the table, and from its end. A shift changes the words between two rows alone, so its edit
distance is the least sum of the new row after them, computed from the row before them, and the old row to the end.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from harness.metrics.ter_edits import MAX_BLOCK, MAX_CANDIDATES, MAX_DISTANCE, Shift, beam, move

Row = NDArray[np.int32]

UNREACHABLE = 1 << 28
"""The distance of a cell outside the beam."""


def edits_in_beam(hypothesis: str, reference: str) -> int:
    """Count the edits and shifts that turn `hypothesis` into `reference`, of one word or more, as sacrebleu does."""
    if not hypothesis:
        return len(reference)
    table = _Table(hypothesis, reference)
    shifts = candidates = 0
    while True:
        best, considered = table.best_shift(candidates)
        candidates += considered
        if best is None or candidates >= MAX_CANDIDATES:
            return table.distance + shifts
        table.shift(*best)
        shifts += 1


class _Table:
    """The rows of the beam, from the start and from the end, of a hypothesis that is shifted in place.

    Row i has the cells of reference positions `low[i]` up to `high[i]`: the least edits from the start of both texts to
    there, and from there to their ends.
    """

    def __init__(self, hypothesis: str, reference: str) -> None:
        self.hypothesis = hypothesis
        self.reference = reference
        n, m = len(hypothesis), len(reference)
        slope, width = beam(n, m)
        diagonal = np.floor(np.arange(n + 1) * slope).astype(np.int64)
        self.low = np.maximum(0, diagonal - width)
        self.high = np.minimum(m + 1, diagonal + width)
        self.low[0], self.high[n] = 0, m + 1
        self.high[0] = min(m + 1, self.high[1])  # further cells of the first row lead nowhere
        self.steps = np.diff(self.low)
        self.words = np.frombuffer(reference.encode("utf-32-le", "surrogatepass"), "<u4")
        self.places: dict[str, list[int]] = defaultdict(list)
        for j, word in enumerate(reference):
            self.places[word].append(j)
        sizes = self.high - self.low
        self.padded = int(sizes.max() + self.steps.max(initial=0) + 2)
        self.offsets = np.arange(int(sizes.max()), dtype=np.int32)
        self.from_start = np.full((n + 1, int(sizes.max())), UNREACHABLE, np.int32)
        self.to_end = self.from_start.copy()
        self.from_start[0, : sizes[0]] = self.offsets[: sizes[0]]
        self.to_end[n, : sizes[n]] = self.offsets[: sizes[n]][::-1]
        self._fill_from_start(0, n)
        self._fill_to_end(n, 1)

    @property
    def distance(self) -> int:
        """The edit distance of the texts in the beam."""
        n = len(self.hypothesis)
        return int(self.from_start[n, self.high[n] - self.low[n] - 1])

    def shift(self, shifted: str, first: int, last: int) -> None:
        """Take a hypothesis that differs from the present one in the words from `first` up to `last`."""
        self.hypothesis = shifted
        self._fill_from_start(first, last)
        self._fill_to_end(last, first)

    def best_shift(self, candidates: int) -> tuple[tuple[str, int, int] | None, int]:
        """Return the shifted hypothesis of the best shift, None if it gains nothing, and the number of candidates.

        `candidates` is how many there were before.
        """
        positions, hypothesis_errors, reference_errors = self._align()
        best, chosen, considered, distance = Shift(), None, 0, self.distance
        for start, reference_start, length in self._blocks(positions, hypothesis_errors, reference_errors):
            before = -1 if not reference_start else positions[reference_start - 1]
            targets = dict.fromkeys([before, *positions[reference_start : reference_start + length]])
            considered += len(targets)
            for position in targets:
                target, end = position + 1, start + length
                moved = move(self.hypothesis, start, end, target)
                first, last = min(start, target), end if target < start else target
                if start <= target <= end:
                    last = min(target + length, len(moved))
                shift = Shift(distance - self._distance_after(moved, first, last), length, -start, -target)
                if shift > best:
                    best, chosen = shift, (moved, first, last)
            if candidates + considered >= MAX_CANDIDATES:
                break
        return (chosen if best.gain > 0 else None), considered

    def _distance_after(self, shifted: str, first: int, last: int) -> int:
        row = self.from_start[first]
        for i in range(first, last):
            row = self._next(row, i, shifted[i])
        size = self.high[last] - self.low[last]
        return int((row[:size] + self.to_end[last, :size]).min())

    def _fill_from_start(self, first: int, last: int) -> None:
        """Compute the rows after `first`: all up to `last`, then only until they differ by a constant."""
        for i in range(first, len(self.hypothesis)):
            size = self.high[i + 1] - self.low[i + 1]
            row = self._next(self.from_start[i], i, self.hypothesis[i])
            change = row - self.from_start[i + 1, :size]
            self.from_start[i + 1, :size] = row
            if i + 1 >= last and (change == change[0]).all():
                self.from_start[i + 2 :] += change[0]
                return

    def _fill_to_end(self, last: int, first: int) -> None:
        """Compute the rows before `last`: all down to `first`, then only until they differ by a constant."""
        for i in range(last - 1, 0, -1):
            size = self.high[i] - self.low[i]
            row = self._before(self.to_end[i + 1], i, self.hypothesis[i])
            change = row - self.to_end[i, :size]
            self.to_end[i, :size] = row
            if i <= first and (change == change[0]).all():
                self.to_end[1:i] += change[0]
                return

    def _next(self, row: Row, i: int, word: str) -> Row:
        """Return row i + 1 from row i and the hypothesis word between them."""
        step, size, low = int(self.steps[i]), int(self.high[i + 1] - self.low[i + 1]), int(self.low[i + 1])
        before = np.full(self.padded, UNREACHABLE, np.int32)
        before[1 : 1 + self.high[i] - self.low[i]] = row[: self.high[i] - self.low[i]]
        paired = before[step : step + size].copy()
        words = self.words[max(low - 1, 0) : low - 1 + size]
        paired[size - len(words) :] += words != ord(word)
        least = np.minimum(paired, before[step + 1 : step + 1 + size] + 1)
        offsets = self.offsets[:size]
        return np.asarray(np.minimum.accumulate(least - offsets) + offsets, np.int32)

    def _before(self, row: Row, i: int, word: str) -> Row:
        """Return the row to the end of row i from that of row i + 1 and the hypothesis word between them."""
        step, size, low = int(self.steps[i]), int(self.high[i] - self.low[i]), int(self.low[i])
        after = np.full(self.padded + step + size, UNREACHABLE, np.int32)
        after[step : step + self.high[i + 1] - self.low[i + 1]] = row[: self.high[i + 1] - self.low[i + 1]]
        paired = after[1 : 1 + size].copy()
        words = self.words[low : low + size]
        paired[: len(words)] += words != ord(word)
        least = np.minimum(paired, after[:size] + 1)[::-1]
        offsets = self.offsets[:size]
        return np.asarray(np.minimum.accumulate(least - offsets) + offsets, np.int32)[::-1]

    def _align(self) -> tuple[list[int], list[int], list[int]]:
        """Trace the preferred alignment back: its positions, and the next error at or after each word of both texts.

        Positions are those in the hypothesis that reference words are aligned with; see `ter_edits.Alignment`.
        """
        i, j = len(self.hypothesis), len(self.reference)
        positions, errors, reference_errors = [-1] * j, [True] * i, [True] * j
        row = self._row(i)
        above = self._row(i - 1)
        while i and j:
            here, k = row[j - self.low[i]], j - int(self.low[i - 1])
            wrong = self.hypothesis[i - 1] != self.reference[j - 1]
            if 0 < k <= len(above) and above[k - 1] + wrong == here:
                j -= 1
                positions[j], errors[i - 1], reference_errors[j] = i - 1, wrong, wrong
            elif k >= len(above) or k < 0 or above[k] + 1 != here:
                j -= 1
                positions[j] = i - 1
                continue
            i -= 1
            row, above = above, self._row(i - 1) if i else []
        return positions, _next(errors), _next(reference_errors)

    def _row(self, i: int) -> list[int]:
        row: list[int] = self.from_start[i, : self.high[i] - self.low[i]].tolist()
        return row

    def _blocks(
        self, positions: list[int], next_errors: list[int], next_reference_errors: list[int]
    ) -> Iterator[tuple[int, int, int]]:
        """Yield the blocks that can be moved, as `ter_edits` does."""
        hypothesis, reference = self.hypothesis, self.reference
        for start, word in enumerate(hypothesis):
            if next_errors[start] >= start + MAX_BLOCK:
                continue
            places = self.places.get(word, [])
            for at in places[bisect_left(places, start - MAX_DISTANCE) : bisect_right(places, start + MAX_DISTANCE)]:
                if next_reference_errors[at] >= at + MAX_BLOCK:
                    continue
                longest = min(MAX_BLOCK, len(hypothesis) - start, len(reference) - at)
                for length in range(1, longest + 1):
                    if hypothesis[start + length - 1] != reference[at + length - 1]:
                        break
                    wrong = next_errors[start] < start + length and next_reference_errors[at] < at + length
                    if wrong and not start <= positions[at] < start + length:
                        yield start, at, length


def _next(errors: list[bool]) -> list[int]:
    """Return where the next error is, at each word or after it; far beyond the last word where there is none."""
    following, places = len(errors) + MAX_BLOCK, []
    for i in range(len(errors) - 1, -1, -1):
        following = i if errors[i] else following
        places.append(following)
    return places[::-1]
