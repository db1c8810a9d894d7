"""Words and their tokens as numbers, with each distinct word analysed once.

The reference implementations spend most of their time on tokenising and stemming, and these look at one word at a time:
the tokens of a word between two spaces do not depend on its neighbours. So texts are split once for all metrics, each
distinct word of a process is analysed once by the reference implementation's own rules, and references are encoded once
for all models.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import islice, pairwise

import numpy as np

from harness.metrics.inputs import Texts
from harness.metrics.scripts import split_unspaced
from harness.metrics.token_ids import Encoded, IntArray, ranges

MAX_WORDS = 500_000
"""All numbers are cleared when there are more words, which bounds memory and keeps tokens within a code point."""
CACHED_SETS = 6
"""How many sets of texts are cached: the references, and the completions of the latest few models."""


class _CachingEncoder(ABC):
    """Encodes sets of texts, and caches the latest few."""

    def __init__(self) -> None:
        self._cached: dict[Texts, Encoded] = {}

    def encode(self, *sets: Texts) -> tuple[Encoded, ...]:
        """Encode each set of texts; numbers are comparable between the sets of one call."""
        self.make_room()
        return tuple(map(self.encode_next, sets))

    def encode_next(self, texts: Texts) -> Encoded:
        """Encode one more set of texts, with numbers that are comparable to those since the last `make_room`."""
        encoded = self._cached.pop(texts, None)
        if encoded is None:
            encoded = self._encode(texts)
        self._cached[texts] = encoded
        if len(self._cached) > CACHED_SETS:
            del self._cached[next(iter(self._cached))]
        return encoded

    @abstractmethod
    def make_room(self) -> None:
        """Clear all numbers if there are too many."""

    @abstractmethod
    def _encode(self, texts: Texts) -> Encoded: ...


class Words(_CachingEncoder):
    """The numbers of the words between spaces, from 1; shared by all vocabularies, so that a text is split once."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = _Numbers()
        self._words = [""]
        self.n_clears = 0
        """How often all numbers were cleared."""

    def __len__(self) -> int:
        return len(self._words)

    def __getitem__(self, number: int) -> str:
        return self._words[number]

    def make_room(self) -> None:
        """Clear all words if there are too many; vocabularies notice it from `n_clears`."""
        if len(self) > MAX_WORDS:
            self._numbers.clear()
            self._cached.clear()
            del self._words[1:]
            self.n_clears += 1

    def number(self, texts: Iterable[str]) -> IntArray:
        """Return the numbers of the words of all texts in a row, with a 0 after each text."""
        symbols: list[int] = []
        for text in texts:
            symbols += map(self._numbers.__getitem__, text.split())
            symbols.append(0)
        self._words += islice(self._numbers, len(self._words) - 1, None)
        return np.array(symbols, dtype=np.int64)

    def _encode(self, texts: Texts) -> Encoded:
        return Encoded.of(self.number(texts))


class _Numbers(dict[str, int]):
    """Gives each new word the next number."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self) + 1
        return number


@cache
def words() -> Words:
    """Return the words of this process."""
    return Words()


class Vocabulary(_CachingEncoder):
    """The numbers of the tokens that `analyse` makes of each word; equal tokens have equal numbers, from 1."""

    def __init__(self, analyse: Callable[[str], Iterable[str]]) -> None:
        super().__init__()
        self._analyse = analyse
        self._words = words()
        self._clear()

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the numbers of each text's tokens, without caching them."""
        encoded = Encoded.of(self._tokens_of(self._words.number(texts)))
        symbols, starts = encoded.symbols.tolist(), encoded.starts.tolist()
        return [symbols[start : end - 1] for start, end in pairwise(starts)]

    def number(self, token: str) -> int:
        """Return the number of a token, a new one for a new token."""
        return self._numbers.setdefault(token, len(self._numbers) + 1)

    def make_room(self) -> None:
        """Clear all words if there are too many, or if another vocabulary did."""
        self._words.make_room()
        if self._n_clears != self._words.n_clears:
            self._clear()

    def _clear(self) -> None:
        """Start with word 0, the end of a text, whose only token is 0."""
        self._n_clears = self._words.n_clears
        self._numbers: dict[str, int] = {}
        self._tokens = np.zeros(1, np.int64)
        self._starts, self._lengths = np.zeros(1, np.int64), np.ones(1, np.int64)
        self._cached.clear()

    def _encode(self, texts: Texts) -> Encoded:
        return Encoded.of(self._tokens_of(self._words.encode_next(texts).symbols))

    def _tokens_of(self, numbers: IntArray) -> IntArray:
        """Return the tokens of all words in a row."""
        self._analyse_new(numbers)
        return np.asarray(self._tokens[ranges(self._starts[numbers], self._lengths[numbers])])

    def _analyse_new(self, numbers: IntArray) -> None:
        """Analyse the words that are new; a length of -1 marks them."""
        if room := len(self._words) - len(self._lengths):
            self._lengths = np.concatenate([self._lengths, np.full(room, -1)])
            self._starts = np.concatenate([self._starts, np.zeros(room, np.int64)])
        new = np.unique(numbers[self._lengths[numbers] < 0])
        if not len(new):
            return
        tokens: list[int] = []
        ends: list[int] = []
        for number in new.tolist():
            tokens += map(self.number, self._analyse(self._words[number]))
            ends.append(len(tokens))
        self._lengths[new] = lengths = np.diff(np.array(ends, np.int64), prepend=0)
        self._starts[new] = len(self._tokens) + np.array(ends, np.int64) - lengths
        self._tokens = np.concatenate([self._tokens, np.array(tokens, np.int64)])


@cache
def spaced_words() -> Vocabulary:
    """Return the words between spaces; those of scripts without spaces between words are single characters."""
    return Vocabulary(split_unspaced)
