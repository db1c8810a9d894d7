"""Numbers of words and of the tokens that they come to, and each distinct word analysed once.

Tokenising and stemming are what the reference implementations spend most of their time on, and they look at one
word at a time: what becomes of a word between two spaces does not depend on its neighbours. So texts are split once
for all metrics, each distinct word of a process is analysed once by the reference implementation's own rules, and
references are encoded once for all models.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import islice, pairwise

import numpy as np

from harness.metrics.inputs import Texts
from harness.metrics.token_ids import Encoded, IntArray, ranges

MAX_WORDS = 500_000
"""A lexicon that holds more words is emptied, which bounds its memory; characters can stand for its tokens."""
KEPT = 6
"""How many sets of texts are kept encoded: the references, and the completions of the last few models."""


class _Encoder(ABC):
    """Encodes sets of texts, and keeps the last few."""

    def __init__(self) -> None:
        self._kept: dict[Texts, Encoded] = {}

    def encode(self, *sets: Texts) -> tuple[Encoded, ...]:
        """Return each set of texts encoded; numbers are comparable between the sets of one call."""
        self.make_room()
        return tuple(map(self.encode_next, sets))

    def encode_next(self, texts: Texts) -> Encoded:
        """Return one more set of texts encoded, with numbers that are comparable to those before."""
        known = self._kept.pop(texts, None)
        found = self._kept[texts] = known if known is not None else self._encode(texts)
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        return found

    @abstractmethod
    def make_room(self) -> None:
        """Forget all numbers if there are too many."""

    @abstractmethod
    def _encode(self, texts: Texts) -> Encoded: ...


class Words(_Encoder):
    """The numbers of the words between spaces, from 1; shared by all lexicons, so that a text is split once."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = _Numbers()
        self._listed = [""]
        self.emptied = 0
        """How often all numbers were forgotten."""

    def __len__(self) -> int:
        return len(self._listed)

    def __getitem__(self, number: int) -> str:
        return self._listed[number]

    def make_room(self) -> None:
        """Forget all words if there are too many; lexicons see it from `emptied`."""
        if len(self) > MAX_WORDS:
            self._numbers.clear()
            self._kept.clear()
            del self._listed[1:]
            self.emptied += 1

    def number(self, texts: Iterable[str]) -> IntArray:
        """Return the numbers of the words of all texts in a row, with a 0 after each text."""
        symbols: list[int] = []
        for text in texts:
            symbols += map(self._numbers.__getitem__, text.split())
            symbols.append(0)
        self._listed += islice(self._numbers, len(self._listed) - 1, None)
        return np.array(symbols, dtype=np.int64)

    def _encode(self, texts: Texts) -> Encoded:
        return Encoded.of(self.number(texts))


class _Numbers(dict[str, int]):
    def __missing__(self, word: str) -> int:
        number = self[word] = len(self) + 1
        return number


@cache
def words() -> Words:
    """Return the words of this process."""
    return Words()


class Vocabulary(_Encoder):
    """The numbers of the tokens that `analyse` makes of each word; equal tokens have equal numbers, from 1."""

    def __init__(self, analyse: Callable[[str], Iterable[str]]) -> None:
        super().__init__()
        self._analyse = analyse
        self._words = words()
        self._empty()

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the numbers of each text's tokens, and keep none."""
        found = Encoded.of(self._of_words(self._words.number(texts)))
        symbols, starts = found.symbols.tolist(), found.starts.tolist()
        return [symbols[start : end - 1] for start, end in pairwise(starts)]

    def number(self, token: str) -> int:
        """Return the number of a token, a new one for a new token."""
        return self._numbers.setdefault(token, len(self._numbers) + 1)

    def make_room(self) -> None:
        """Forget all words if there are too many, or if others made room."""
        self._words.make_room()
        if self._emptied != self._words.emptied:
            self._empty()

    def _empty(self) -> None:
        """Know no word but the end of a text, which is 0 in both."""
        self._emptied = self._words.emptied
        self._numbers: dict[str, int] = {}
        self._tokens = np.zeros(1, np.int64)
        self._starts, self._lengths = np.zeros(1, np.int64), np.ones(1, np.int64)
        self._kept.clear()

    def _encode(self, texts: Texts) -> Encoded:
        return Encoded.of(self._of_words(self._words.encode_next(texts).symbols))

    def _of_words(self, numbers: IntArray) -> IntArray:
        """Return the tokens of all words in a row."""
        self._learn(numbers)
        return np.asarray(self._tokens[ranges(self._starts[numbers], self._lengths[numbers])])

    def _learn(self, numbers: IntArray) -> None:
        """Analyse the words that are new; a length of -1 says that one was not looked at yet."""
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
