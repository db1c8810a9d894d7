"""Agreement with the reference: exact, normalised, by prefix and as a bag of words.

`ExactMatch` follows `evaluate`'s exact_match: whitespace counts. `NormalizedMatch` and `TokenF1` follow the evaluation
script of SQuAD (Rajpurkar et al., 2016, https://aclanthology.org/D16-1264/): lower case, without ASCII punctuation,
without articles, whitespace collapsed. As in SQuAD 2.0, a text that normalisation leaves empty agrees only with another
empty one.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from functools import cache
from operator import eq

import numpy as np

from harness.metrics.base import BaseMetric, mean_stats
from harness.metrics.inputs import pairs
from harness.metrics.ngrams import clipped_matches
from harness.metrics.token_ids import common_prefixes
from harness.metrics.vocabulary import Vocabulary, words
from harness.types import Completion, Example, FloatArray

_ARTICLES = frozenset({"a", "an", "the"})
_ARTICLE = re.compile(rf"\b({'|'.join(_ARTICLES)})\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class ExactMatch(BaseMetric):
    """The share of completions that equal their reference character for character."""

    name = "exact_match"
    is_proportion = True
    parallel = True
    bounds = (0.0, 1.0)
    signature = "exact_match|norm:none|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return 1 or 0, and a weight of 1, shape (n, 2)."""
        return mean_stats(list(map(eq, *pairs(completions, examples))))


class NormalizedMatch(BaseMetric):
    """The share of completions that equal their reference after SQuAD's normalisation."""

    name = "exact_match_normalized"
    is_proportion = True
    parallel = True
    bounds = (0.0, 1.0)
    signature = "exact_match_normalized|norm:squad|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return 1 or 0, and a weight of 1, shape (n, 2)."""
        hypotheses, references = _squad_vocabulary().encode(*pairs(completions, examples))
        same_length = hypotheses.lengths == references.lengths
        return mean_stats(same_length & (common_prefixes(hypotheses, references) == references.lengths))


class PrefixMatch(BaseMetric):
    """The share of the reference's words that a completion reproduces before its first wrong word.

    It distinguishes a model that starts right and then drifts from one that is wrong at once; exact match gives both 0.
    A reference without words is matched by a completion without words.
    """

    name = "prefix_match"
    parallel = True
    bounds = (0.0, 1.0)
    signature = "prefix_match|tok:whitespace|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return a share from 0 to 1, and a weight of 1, shape (n, 2)."""
        hypotheses, references = words().encode(*pairs(completions, examples))
        share = common_prefixes(hypotheses, references) / np.maximum(references.lengths, 1)
        return mean_stats(np.where(references.lengths > 0, share, hypotheses.lengths == 0))


class TokenF1(BaseMetric):
    """SQuAD's F1: the harmonic mean of precision and recall over the words of completion and reference."""

    name = "token_f1"
    parallel = True
    bounds = (0.0, 1.0)
    signature = "token_f1|norm:squad|tok:whitespace|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return an F1 from 0 to 1, and a weight of 1, shape (n, 2)."""
        hypotheses, references = _squad_vocabulary().encode(*pairs(completions, examples))
        common = clipped_matches(hypotheses, references, 1)[:, 0]
        n_words = hypotheses.lengths + references.lengths
        return mean_stats(np.where(n_words > 0, 2 * common / np.maximum(n_words, 1), 1.0))


@cache
def _squad_vocabulary() -> Vocabulary:
    return Vocabulary(_normalize)


def _normalize(word: str) -> list[str]:
    """Normalise a word; one that has only letters and digits is an article or contains none."""
    word = word.lower()
    if not word.isalnum():
        word = word.translate(_NO_PUNCTUATION)
        if not word.isalnum():
            return _ARTICLE.sub(" ", word).split()
    return [] if word in _ARTICLES else [word]
