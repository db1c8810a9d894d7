"""Texts as numbers, and each distinct word analysed once.

Tokenising and stemming are what the reference implementations spend most of their time on, and they look at one
word at a time: what becomes of a word between two spaces does not depend on its neighbours. So each distinct word of
a process is analysed once, by the reference implementation's own rules, and references are encoded once for all models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from harness.metrics.texts import Texts

IntArray = NDArray[np.int64]

MAX_WORDS = 500_000
"""A lexicon that holds more words is emptied, which bounds its memory; characters can stand for its tokens."""
KEPT = 6
"""How many sets of texts are kept encoded: the references, and the completions of the last few models."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Texts as numbers: all `symbols` in a row with a 0 after each text, and where each text starts, shape (n + 1,)."""

    symbols: IntArray
    starts: IntArray

    @classmethod
    def of(cls, symbols: IntArray) -> Encoded:
        """Find the texts in `symbols`, which ends each of them with a 0."""
        return cls(symbols, np.concatenate([[0], np.flatnonzero(symbols == 0) + 1]))

    @property
    def lengths(self) -> IntArray:
        """Symbols of each text, shape (n,)."""
        return np.diff(self.starts) - 1

    def part(self, first: int, last: int) -> Encoded:
        """Return the texts from `first` up to `last`, without copying them."""
        starts = self.starts[first : last + 1]
        return Encoded(self.symbols[starts[0] : starts[-1]], starts - starts[0])

    def totals(self, order: int) -> IntArray:
        """Count the n-grams of each order from 1 to `order`, shape (n, order)."""
        return np.asarray(np.maximum(self.lengths[:, None] - np.arange(order), 0))

    def strings(self) -> list[str]:
        """Return each text as a string with one character a symbol, which is what rapidfuzz compares fastest."""
        return self.symbols.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass").split("\0")[:-1]


class Lexicon(dict[str, tuple[int, ...]]):
    """The numbers of the tokens that `analyse` makes of each word; equal tokens have equal numbers, from 1."""

    def __init__(self, analyse: Callable[[str], Iterable[str]]) -> None:
        super().__init__()
        self._analyse = analyse
        self._numbers: dict[str, int] = {}
        self._kept: dict[Texts, Encoded] = {}

    def __missing__(self, word: str) -> tuple[int, ...]:
        known = self._numbers
        numbers = self[word] = tuple(known.setdefault(token, len(known) + 1) for token in self._analyse(word))
        return numbers

    def encode(self, *sets: Texts) -> tuple[Encoded, ...]:
        """Return each set of texts encoded; numbers are comparable between the sets of one call."""
        if len(self) > MAX_WORDS:
            for memory in (self, self._numbers, self._kept):
                memory.clear()
        encoded = []
        for texts in sets:
            known = self._kept.pop(texts, None)
            self._kept[texts] = known if known is not None else self._encode(texts)
            encoded.append(self._kept[texts])
        while len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        return tuple(encoded)

    def _encode(self, texts: Sequence[str]) -> Encoded:
        symbols: list[int] = []
        for text in texts:
            symbols += chain.from_iterable(map(self.__getitem__, text.split()))
            symbols.append(0)
        return Encoded.of(np.array(symbols, dtype=np.int64))
