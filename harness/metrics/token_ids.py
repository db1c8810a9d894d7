"""Texts as arrays of numbers, and what is computed from them for all texts at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

MAX_BITS = 63
"""Bits of a signed 64-bit integer without its sign."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Texts as numbers, in one array.

    `symbols` are the symbols of all texts in a row, with a 0 after each text; `starts`, shape (n + 1,), is where each
    text starts.
    """

    symbols: IntArray
    starts: IntArray

    @classmethod
    def of(cls, symbols: IntArray) -> Encoded:
        """Find the texts in `symbols`, in which a 0 ends each text."""
        return cls(symbols, np.concatenate([[0], np.flatnonzero(symbols == 0) + 1]))

    @classmethod
    def of_strings(cls, texts: Iterable[str]) -> Encoded:
        """Encode each character as one symbol; none of them may be NUL, the 0 that ends a text."""
        return cls.of(code_points(texts))

    @property
    def lengths(self) -> IntArray:
        """The number of symbols of each text, shape (n,)."""
        return np.diff(self.starts) - 1

    def part(self, first: int, last: int) -> Encoded:
        """Return the texts from `first` up to `last`, without copying them."""
        starts = self.starts[first : last + 1]
        return Encoded(self.symbols[starts[0] : starts[-1]], starts - starts[0])

    def take(self, indices: IntArray) -> Encoded:
        """Return the texts at these indices."""
        lengths = self.lengths[indices] + 1
        return Encoded(self.symbols[ranges(self.starts[indices], lengths)], np.concatenate([[0], np.cumsum(lengths)]))

    def rows(self) -> IntArray:
        """Return the index of the text that each symbol belongs to, including the 0 that ends it."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths + 1)

    def totals(self, order: int) -> IntArray:
        """Count the n-grams of each order from 1 to `order`, shape (n, order)."""
        return np.asarray(np.maximum(self.lengths[:, None] - np.arange(order), 0))

    def repeating(self) -> IntArray:
        """Return the indices of texts that contain some bigram twice, as every text with a longer repetition does."""
        bits = int(self.symbols.max(initial=0)).bit_length()
        if 2 * bits + len(self.lengths).bit_length() > MAX_BITS:
            return np.arange(len(self.lengths))
        texts = self.rows()[:-1]
        first, second = self.symbols[:-1], self.symbols[1:]
        keys = np.sort(((texts << bits | first) << bits | second)[(first > 0) & (second > 0)])
        return np.unique(keys[1:][keys[1:] == keys[:-1]] >> 2 * bits)

    def strings(self) -> list[str]:
        """Return each text as a string with one character per symbol, which rapidfuzz compares fastest."""
        return self.symbols.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass").split("\0")[:-1]


def code_points(texts: Iterable[str]) -> IntArray:
    """Return the characters of all texts in a row, with a 0 after each text."""
    joined = "\0".join([*texts, ""])
    return np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int64)


def common_prefixes(texts: Encoded, others: Encoded) -> IntArray:
    """Return the number of symbols that each text and its counterpart share before they first differ, shape (n,)."""
    shorter = np.minimum(texts.lengths, others.lengths)
    if not len(shorter):
        return shorter
    prefixes = (side.symbols[ranges(side.starts[:-1], shorter + 1)] for side in (texts, others))
    first = np.cumsum(shorter + 1) - shorter - 1
    differ = np.not_equal(*prefixes)
    places = np.where(differ, np.arange(len(differ)), len(differ))
    return np.asarray(np.minimum(np.minimum.reduceat(places, first) - first, shorter))


def ranges(starts: IntArray, lengths: IntArray) -> IntArray:
    """Return the integers of all ranges, given by their starts and lengths, in a row."""
    before = np.cumsum(lengths) - lengths
    return np.asarray(np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths))
