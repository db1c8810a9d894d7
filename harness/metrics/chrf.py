"""chrF (Popović, 2015, https://aclanthology.org/W15-3049/) and chrF++ with sacrebleu's numbers and signature.

Characters are numbers already, so a whole corpus is one array of code points; see `harness.metrics.ngrams`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.metrics.inputs import Texts, pairs
from harness.metrics.ngrams import clipped_matches
from harness.metrics.token_ids import Encoded, code_points
from harness.metrics.vocabulary import KEPT, Vocabulary
from harness.types import Completion, Example, FloatArray

ORDER = 6
"""The longest character n-grams that count."""
BETA = 2
"""How many times more recall counts than precision."""
PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


class Chrf:
    """Corpus chrF2 from 0 to 100: F2 over character n-grams up to 6, whitespace left out.

    `word_order` 2 adds word unigrams and bigrams, which makes it chrF++.
    """

    name = "chrf"
    higher_is_better: bool | None = True
    is_proportion = False
    parallel = True

    def __init__(self, word_order: int = 0, lowercase: bool = False) -> None:
        self._word_order = word_order
        self._lowercase = lowercase

    @property
    def signature(self) -> str:
        """sacrebleu's signature."""
        from sacrebleu.metrics.chrf import CHRF

        metric = CHRF(word_order=self._word_order, lowercase=self._lowercase)
        score = metric.corpus_score(["a"], [["a"]])
        return f"{score.name}|{metric.get_signature().format()}"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return n-grams of completion, of reference, and matches, for each order in turn, shape (n, 3 * orders)."""
        ours, theirs = pairs(completions, examples)
        if self._lowercase:
            ours, theirs = (tuple(map(str.lower, texts)) for texts in (ours, theirs))
        counts = [_counts(_characters(ours), _characters(theirs), ORDER)]
        if self._word_order:
            our_words, their_words = _words().encode(ours, theirs)
            counts.append(_counts(our_words, their_words, self._word_order))
        return np.concatenate(counts, axis=1)

    def aggregate(self, sums: FloatArray) -> FloatArray:
        """Turn summed statistics, shape (..., 3 * orders), into corpus chrF, shape (...)."""
        ours, theirs, matches = sums[..., 0::3], sums[..., 1::3], sums[..., 2::3]
        counted = (ours > 0) & (theirs > 0)
        orders = np.maximum(counted.sum(axis=-1), 1)
        precision = (counted * matches / np.maximum(ours, 1)).sum(axis=-1) / orders
        recall = (counted * matches / np.maximum(theirs, 1)).sum(axis=-1) / orders
        weighted = BETA**2 * precision + recall
        return np.where(
            weighted > 0, 100 * (1 + BETA**2) * precision * recall / np.where(weighted > 0, weighted, 1.0), 0.0
        )

    def per_example(self, stats: FloatArray) -> FloatArray:
        """Return sentence chrF, shape (n,)."""
        return self.aggregate(stats)


def _counts(ours: Encoded, theirs: Encoded, order: int) -> FloatArray:
    """Return sacrebleu's triplets; our n-grams of an order that the reference is too short for do not count."""
    n_theirs = theirs.totals(order)
    n_ours = np.where(n_theirs > 0, ours.totals(order), 0)
    triplets = np.stack([n_ours, n_theirs, clipped_matches(ours, theirs, order)], axis=-1)
    return triplets.reshape(len(triplets), 3 * order).astype(np.float64)


@lru_cache(maxsize=KEPT)
def _characters(texts: Texts) -> Encoded:
    """Number characters by code point; whitespace is left out, and a NUL is not the 0 that ends a text."""
    points = code_points(texts)
    points[points == 0] = sys.maxunicode + 1
    points[np.cumsum(np.fromiter(map(len, texts), np.int64) + 1) - 1] = 0
    return Encoded.of(points[~_whitespace()[np.minimum(points, len(_whitespace()) - 1)]])


@cache
def _whitespace() -> NDArray[np.bool_]:
    """Return which code points are white space, up to the one after the last; all are in Unicode's first plane."""
    spaces = [point for point in range(2**16) if chr(point).isspace()]
    return np.isin(np.arange(spaces[-1] + 2), spaces)


@cache
def _words() -> Vocabulary:
    return Vocabulary(_split_word)


def _split_word(word: str) -> list[str]:
    """Split one punctuation mark off a word: its last character, or else its first."""
    if len(word) > 1 and word[-1] in PUNCTUATION:
        return [word[:-1], word[-1]]
    if len(word) > 1 and word[0] in PUNCTUATION:
        return [word[0], word[1:]]
    return [word]
