"""Agreement with the reference: exact, normalised, by prefix and as a bag of words.

`ExactMatch` follows `evaluate`'s exact_match: whitespace counts. `NormalizedMatch` and `TokenF1` follow the evaluation
script of SQuAD (Rajpurkar et al., 2016, https://aclanthology.org/D16-1264/): lower case, without punctuation, without
articles, whitespace collapsed. They differ from it where it takes different answers for equal ones, and where it does
not know the script:

- Punctuation inside a number and a minus before it are kept, except thousands separators: 4.5 is not 45, nor -4.5.
- Where normalisation leaves nothing of a text, the pair is compared with its articles, or else as it is: the answer "A"
  is not the answer "The", "?" is not "!", and neither is an empty one.
- Punctuation of other scripts than Latin is punctuation too, an accented letter is the same in one code point or two,
  and words of scripts without spaces between words are single characters.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from operator import eq

import numpy as np

from harness.metrics.base import BaseMetric, mean_stats
from harness.metrics.inputs import Texts, pairs
from harness.metrics.ngrams import clipped_matches
from harness.metrics.scripts import composed, split_unspaced
from harness.metrics.token_ids import Encoded, common_prefixes
from harness.metrics.vocabulary import Vocabulary, spaced_words
from harness.types import Completion, Example, FloatArray

_ARTICLES = frozenset({"a", "an", "the"})
_ARTICLE = re.compile(rf"\b({'|'.join(_ARTICLES)})\b")
_PUNCTUATION = re.escape(string.punctuation)
_REMOVED = re.compile(
    r"(?<=\d),(?=\d{3}(?!\d))"  # a thousands separator
    rf"|(?!(?<=\d)[{_PUNCTUATION}](?=\d))"  # but no other punctuation between digits,
    r"(?!(?<![^\W_])-[$]?\.?\d)(?!(?<![^\W_])\.\d)"  # and no sign or point before a number,
    rf"[{_PUNCTUATION}]"
)
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
    signature = "exact_match_normalized|norm:squad+numbers+never-empty|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return 1 or 0, and a weight of 1, shape (n, 2)."""
        return mean_stats(_normalized(_equal, *pairs(completions, examples)))


class PrefixMatch(BaseMetric):
    """The share of the reference's words that a completion reproduces before its first wrong word.

    It distinguishes a model that starts right and then drifts from one that is wrong at once; exact match gives both 0.
    A reference without words is matched by a completion without words. In scripts without spaces between words, such as
    Chinese, a character is a word.
    """

    name = "prefix_match"
    parallel = True
    bounds = (0.0, 1.0)
    signature = "prefix_match|tok:whitespace+unspaced-characters|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return a share from 0 to 1, and a weight of 1, shape (n, 2)."""
        hypotheses, references = spaced_words().encode(*pairs(completions, examples))
        share = common_prefixes(hypotheses, references) / np.maximum(references.lengths, 1)
        return mean_stats(np.where(references.lengths > 0, share, hypotheses.lengths == 0))


class TokenF1(BaseMetric):
    """SQuAD's F1: the harmonic mean of precision and recall over the words of completion and reference."""

    name = "token_f1"
    parallel = True
    bounds = (0.0, 1.0)
    signature = "token_f1|norm:squad+numbers+never-empty|tok:whitespace+unspaced-characters|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return an F1 from 0 to 1, and a weight of 1, shape (n, 2)."""
        return mean_stats(_normalized(_f1, *pairs(completions, examples)))


def _equal(hypotheses: Encoded, references: Encoded) -> FloatArray:
    same_length = hypotheses.lengths == references.lengths
    equal = same_length & (common_prefixes(hypotheses, references) == references.lengths)
    return np.asarray(equal, np.float64)


def _f1(hypotheses: Encoded, references: Encoded) -> FloatArray:
    common = clipped_matches(hypotheses, references, 1)[:, 0]
    n_words = hypotheses.lengths + references.lengths
    return np.where(n_words > 0, 2 * common / np.maximum(n_words, 1), 1.0)


def _normalized(score: Callable[[Encoded, Encoded], FloatArray], hypotheses: Texts, references: Texts) -> FloatArray:
    """Score pairs after normalisation, those of which it leaves nothing on a side with less of it."""
    encoded, encoded_references = _squad_vocabulary().encode(hypotheses, references)
    values = score(encoded, encoded_references)
    rows = np.flatnonzero((encoded.lengths == 0) | (encoded_references.lengths == 0)).tolist()
    if rows:
        less = [_less_normalized(hypotheses[i], references[i]) for i in rows]
        values[rows] = score(*_plain_vocabulary().encode(*map(tuple, zip(*less, strict=True))))
    return values


@cache
def _squad_vocabulary() -> Vocabulary:
    return Vocabulary(_normalize)


@cache
def _plain_vocabulary() -> Vocabulary:
    return Vocabulary(lambda word: [word])


def _less_normalized(hypothesis: str, reference: str) -> tuple[str, str]:
    """Return a pair with its articles if the reference has words then, else as it is, both in lower case."""
    texts = composed(hypothesis.lower()), composed(reference.lower())
    without = [" ".join(map(_without_punctuation, text.split())) for text in texts]
    return (without[0], without[1]) if without[1].strip() else texts


def _normalize(word: str) -> list[str]:
    """Normalise a word; one that has only letters and digits is an article or contains none."""
    word = word.lower()
    if not word.isalnum():
        word = _without_punctuation(composed(word))
        if not word.isalnum():
            return [part for piece in _ARTICLE.sub(_blank, word).split() for part in split_unspaced(piece)]
    return [] if word in _ARTICLES else split_unspaced(word)


def _without_punctuation(word: str) -> str:
    """Remove punctuation from a word in lower case, but not what belongs to a number."""
    if word.isascii():
        return _REMOVED.sub("", word) if any(map(str.isdigit, word)) else word.translate(_NO_PUNCTUATION)
    word = _REMOVED.sub("", word)
    return word if word.isalnum() else "".join(character for character in word if not _is_foreign(character))


def _is_foreign(character: str) -> bool:
    """Return whether a character is punctuation of another script than Latin, which SQuAD's script does not know."""
    latin = character <= "\u024f" or "\u2000" <= character <= "\u206f" or "\u2e00" <= character <= "\u2e7f"
    return not latin and unicodedata.category(character).startswith("P")


def _blank(match: re.Match[str]) -> str:
    """Return a space for an article, and what looks like one but carries a combining mark as it is."""
    following = match.string[match.end() : match.end() + 1]
    return match[0] if following and unicodedata.category(following).startswith("M") else " "
