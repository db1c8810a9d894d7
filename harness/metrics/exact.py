"""Agreement with the reference word by word: exact, normalised, by prefix and as a bag of words.

`ExactMatch` follows `evaluate`'s exact_match: not even surrounding whitespace is forgiven. `NormalizedMatch` and
`TokenF1` follow the evaluation script of SQuAD (Rajpurkar et al., 2016, https://aclanthology.org/D16-1264/):
lower case, without ASCII punctuation, without articles, whitespace collapsed. As in SQuAD 2.0, texts of which nothing
is left agree with each other and with nothing else.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from functools import cache
from operator import eq

import numpy as np

from harness.metrics.base import RatioMetric, mean_stats
from harness.metrics.inputs import pairs
from harness.metrics.ngrams import clipped_matches
from harness.metrics.token_ids import common_prefixes
from harness.metrics.vocabulary import Vocabulary, words
from harness.types import Completion, Example, FloatArray

_ARTICLES = frozenset({"a", "an", "the"})
_ARTICLE = re.compile(rf"\b({'|'.join(_ARTICLES)})\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class ExactMatch(RatioMetric):
    """The share of completions that equal their reference character for character."""

    name = "exact_match"
    is_proportion = True
    parallel = True
    bounds = (0.0, 1.0)
    signature = "exact_match|norm:none|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return 1 or 0, and a weight of 1, shape (n, 2)."""
        return mean_stats(list(map(eq, *pairs(completions, examples))))


class NormalizedMatch(RatioMetric):
    """The share of completions that equal their reference after SQuAD's normalisation."""

    name = "exact_match_normalized"
    is_proportion = True
    parallel = True
    bounds = (0.0, 1.0)
    signature = "exact_match_normalized|norm:squad|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return 1 or 0, and a weight of 1, shape (n, 2)."""
        ours, theirs = _squad().encode(*pairs(completions, examples))
        return mean_stats((ours.lengths == theirs.lengths) & (common_prefixes(ours, theirs) == theirs.lengths))


class PrefixMatch(RatioMetric):
    """The share of the reference's words that a completion reproduces before its first wrong word.

    It tells a model that starts right and then drifts from one that is wrong at once, where exact match gives both 0.
    A reference without words is matched by a completion without words.
    """

    name = "prefix_match"
    parallel = True
    bounds = (0.0, 1.0)
    signature = "prefix_match|tok:whitespace|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return a share from 0 to 1, and a weight of 1, shape (n, 2)."""
        ours, theirs = words().encode(*pairs(completions, examples))
        share = common_prefixes(ours, theirs) / np.maximum(theirs.lengths, 1)
        return mean_stats(np.where(theirs.lengths > 0, share, ours.lengths == 0))


class TokenF1(RatioMetric):
    """SQuAD's F1: the harmonic mean of precision and recall over the words of completion and reference."""

    name = "token_f1"
    parallel = True
    bounds = (0.0, 1.0)
    signature = "token_f1|norm:squad|tok:whitespace|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return an F1 from 0 to 1, and a weight of 1, shape (n, 2)."""
        ours, theirs = _squad().encode(*pairs(completions, examples))
        common = clipped_matches(ours, theirs, 1)[:, 0]
        words = ours.lengths + theirs.lengths
        return mean_stats(np.where(words > 0, 2 * common / np.maximum(words, 1), 1.0))


@cache
def _squad() -> Vocabulary:
    return Vocabulary(_normalized)


def _normalized(word: str) -> list[str]:
    """Normalise a word; one of letters and digits alone is an article, or holds none."""
    word = word.lower()
    if not word.isalnum():
        word = word.translate(_NO_PUNCTUATION)
        if not word.isalnum():
            return _ARTICLE.sub(" ", word).split()
    return [] if word in _ARTICLES else [word]
