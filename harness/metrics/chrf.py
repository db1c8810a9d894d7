"""chrF (Popović, 2015, https://aclanthology.org/W15-3049/) and chrF++ with sacrebleu's numbers and signature.

A whole corpus is one array of code points, whose n-grams are matched at once; see `harness.metrics.ngrams`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.metrics.base import BaseMetric
from harness.metrics.inputs import Texts, pairs
from harness.metrics.ngrams import clipped_matches
from harness.metrics.token_ids import Encoded, code_points
from harness.metrics.vocabulary import CACHED_SETS, Vocabulary
from harness.types import Completion, Example, FloatArray

ORDER = 6
"""The longest character n-grams that count."""
BETA = 2
"""How many times as much recall counts as precision."""
PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


class Chrf(BaseMetric):
    """Corpus chrF2 from 0 to 100: F2 over character n-grams up to 6, without whitespace.

    `word_order` 2 adds word unigrams and bigrams, which is chrF++.
    """

    name = "chrf"
    parallel = True
    score_range = (0.0, 100.0)

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
        """Return n-grams of hypothesis, of reference, and matches, for each order in turn, shape (n, 3 * orders)."""
        hypotheses, references = pairs(completions, examples)
        if self._lowercase:
            hypotheses, references = (tuple(map(str.lower, texts)) for texts in (hypotheses, references))
        counts = [_counts(_characters(hypotheses), _characters(references), ORDER)]
        if self._word_order:
            words, reference_words = _vocabulary().encode(hypotheses, references)
            counts.append(_counts(words, reference_words, self._word_order))
        return np.concatenate(counts, axis=1)

    def aggregate(self, sums: FloatArray) -> FloatArray:
        """Turn summed statistics, shape (..., 3 * orders), into corpus chrF, shape (...)."""
        n_hypothesis, n_reference, matches = sums[..., 0::3], sums[..., 1::3], sums[..., 2::3]
        counted = (n_hypothesis > 0) & (n_reference > 0)
        orders = np.maximum(counted.sum(axis=-1), 1)
        precision = (counted * matches / np.maximum(n_hypothesis, 1)).sum(axis=-1) / orders
        recall = (counted * matches / np.maximum(n_reference, 1)).sum(axis=-1) / orders
        weighted = BETA**2 * precision + recall
        return np.where(
            weighted > 0, 100 * (1 + BETA**2) * precision * recall / np.where(weighted > 0, weighted, 1.0), 0.0
        )


def _counts(hypotheses: Encoded, references: Encoded, order: int) -> FloatArray:
    """Return sacrebleu's triplets; a hypothesis' n-grams of orders that its reference is too short for do not count."""
    n_reference = references.totals(order)
    n_hypothesis = np.where(n_reference > 0, hypotheses.totals(order), 0)
    triplets = np.stack([n_hypothesis, n_reference, clipped_matches(hypotheses, references, order)], axis=-1)
    return triplets.reshape(len(triplets), 3 * order).astype(np.float64)


@lru_cache(maxsize=CACHED_SETS)
def _characters(texts: Texts) -> Encoded:
    """Encode characters by code point, without whitespace; a NUL is not the 0 that ends a text."""
    points = code_points(texts)
    points[points == 0] = sys.maxunicode + 1
    points[np.cumsum(np.fromiter(map(len, texts), np.int64) + 1) - 1] = 0
    return Encoded.of(points[~_whitespace()[np.minimum(points, len(_whitespace()) - 1)]])


@cache
def _whitespace() -> NDArray[np.bool_]:
    """Return which code points are whitespace, up to the one after the last; all are in Unicode's first plane."""
    spaces = [point for point in range(2**16) if chr(point).isspace()]
    return np.isin(np.arange(spaces[-1] + 2), spaces)


@cache
def _vocabulary() -> Vocabulary:
    return Vocabulary(_split_word)


def _split_word(word: str) -> list[str]:
    """Split one punctuation mark off a word, its last character or else its first, as sacrebleu does."""
    if len(word) > 1 and word[-1] in PUNCTUATION:
        return [word[:-1], word[-1]]
    if len(word) > 1 and word[0] in PUNCTUATION:
        return [word[0], word[1:]]
    return [word]
