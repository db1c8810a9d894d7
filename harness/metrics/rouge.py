"""ROUGE (Lin, 2004, https://aclanthology.org/W04-1013/) with the numbers of Google's rouge-score, many times faster.

Most of rouge-score's time goes into the Porter stemmer and into tables for the longest common subsequence. Here each
distinct word is stemmed once, words are numbers, n-grams of the whole corpus are matched at once, and rapidfuzz finds
the subsequence lengths. The four kinds share all of that, and models share what concerns the references.

Porter's stemmer (1980, https://doi.org/10.1108/eb046814) as rouge-score uses it, two or three times sooner.

nltk's tries every rule of a step on every word; here a step is left out where none of its rules can apply, and words
on which no rule of any step can are not looked at.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Literal

import numpy as np

from harness.metrics.base import RatioMetric, mean_stats
from harness.metrics.inputs import Texts, pairs
from harness.metrics.ngrams import clipped_matches
from harness.metrics.token_ids import IntArray
from harness.metrics.vocabulary import MAX_WORDS, Vocabulary
from harness.types import Completion, Example, FloatArray

STEMMED_FROM = 4
"""rouge-score stems only words of at least so many characters."""
ENDINGS: dict[str, tuple[str, ...]] = {
    "_step1a": ("s",),
    "_step1b": ("ed", "ing"),
    "_step1c": ("y",),
    "_step2": ("i", "tional", "izer", "ation", "ator", "alism", "ness"),
    "_step3": ("icate", "ative", "alize", "iciti", "ical", "ful", "ness"),
    "_step4": (
        *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ent"),
        *("ion", "ou", "ism", "ate", "iti", "ous", "ive", "ize"),
    ),
    "_step5a": ("e",),
    "_step5b": ("ll",),
}
"""How a word must end for a step of nltk's stemmer to change it."""
SUFFIXES = tuple(suffix for endings in ENDINGS.values() for suffix in endings)

Stem = Callable[[str], str]


def stemmer() -> Stem:
    """Return what stems a lower-case word; a short one is its own stem."""
    from nltk.stem.porter import PorterStemmer

    nltks = PorterStemmer()
    for name, endings in ENDINGS.items():
        if step := getattr(nltks, name, None):
            setattr(nltks, name, _only_for(endings, step))
    return lambda word: str(nltks.stem(word)) if len(word) >= STEMMED_FROM and word.endswith(SUFFIXES) else word


def _only_for(endings: tuple[str, ...], step: Stem) -> Stem:
    return lambda word: step(word) if word.endswith(endings) else word


Kind = Literal["rouge1", "rouge2", "rougeL", "rougeLsum"]

_WORD = re.compile(r"[a-z0-9]+")


class Rouge(RatioMetric):
    """The mean over examples of ROUGE's F-measure, by unigrams, bigrams or longest common subsequence.

    `rougeLsum` takes each line as a sentence, as rouge-score does without `split_summaries`; on texts of one line it
    is `rougeL`. `stem` False compares words as they are written.
    """

    parallel = True
    bounds = (0.0, 1.0)

    def __init__(self, kind: Kind = "rougeL", stem: bool = True) -> None:
        self.name = kind
        self._kind = kind
        self._stem = stem

    @property
    def signature(self) -> str:
        """Kind, options and the version of rouge-score whose numbers these are."""
        stemmer = "porter" if self._stem else "none"
        return f"{self.name}|tok:rouge|stem:{stemmer}|score:f|agg:mean|version:{version('rouge-score')}"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return an F-measure from 0 to 1, and a weight of 1, shape (n, 2)."""
        texts, references = pairs(completions, examples)
        ours, theirs = (encoded.totals(2) for encoded in _lexicon(self._stem).encode(texts, references))
        order = 1
        if self._kind == "rougeL":
            matches = _subsequences(texts, references, self._stem)
        elif self._kind == "rougeLsum":
            matches = _union_subsequences(texts, references, self._stem)
        else:
            order = int(self._kind[-1])
            matches = _ngrams(texts, references, self._stem)[:, order - 1]
        return mean_stats(_f_measure(matches, ours[:, order - 1], theirs[:, order - 1]))


def _f_measure(matches: IntArray, ours: IntArray, theirs: IntArray) -> FloatArray:
    precision, recall = matches / np.maximum(ours, 1), matches / np.maximum(theirs, 1)
    total = precision + recall
    return np.where(total > 0, 2 * precision * recall / np.where(total > 0, total, 1.0), 0.0)


@cache
def _lexicon(stem: bool) -> Vocabulary:
    if not stem:
        return Vocabulary(lambda word: _WORD.findall(word.lower()))
    stemmed = lru_cache(maxsize=MAX_WORDS)(stemmer())
    return Vocabulary(lambda word: map(stemmed, _WORD.findall(word.lower())))


@lru_cache(maxsize=2)
def _ngrams(texts: Texts, references: Texts, stem: bool) -> IntArray:
    ours, theirs = _lexicon(stem).encode(texts, references)
    return clipped_matches(ours, theirs, 2)


@lru_cache(maxsize=2)
def _subsequences(texts: Texts, references: Texts, stem: bool) -> IntArray:
    from rapidfuzz import process
    from rapidfuzz.distance import LCSseq

    ours, theirs = _lexicon(stem).encode(texts, references)
    found: IntArray = process.cpdist(ours.strings(), theirs.strings(), scorer=LCSseq.similarity, dtype=np.int64)
    return found


def _union_subsequences(texts: Texts, references: Texts, stem: bool) -> IntArray:
    matches = _subsequences(texts, references, stem).copy()
    pairs = {i: pair for i, pair in enumerate(zip(texts, references, strict=True)) if "\n" in pair[0] + pair[1]}
    lines = [line for pair in pairs.values() for text in pair for line in text.split("\n")]
    tokens = iter(_lexicon(stem).tokens(lines))
    for i, pair in pairs.items():
        ours, theirs = ([next(tokens) for _ in text.split("\n")] for text in pair)
        matches[i] = _union_matches(ours, theirs)
    return matches


def _union_matches(ours: list[list[int]], theirs: list[list[int]]) -> int:
    """Count the union of each reference line's common subsequences with all of our lines (Lin, 2004, section 3.2).

    As in ROUGE 1.5.5, a word counts at most as often as both texts hold it.
    """
    left_ours, left_theirs = (Counter(word for line in lines for word in line) for lines in (ours, theirs))
    hits = 0
    for line in theirs:
        union = {position for other in ours for position in _common_positions(line, other)}
        for word in map(line.__getitem__, sorted(union)):
            if left_ours[word] and left_theirs[word]:
                hits += 1
                left_ours[word] -= 1
                left_theirs[word] -= 1
    return hits


def _common_positions(line: list[int], other: list[int]) -> list[int]:
    """Return the positions in `line` of the common subsequence that rouge-score's table leads to.

    The table's rows are bit vectors (Hyyrö, 2004): the zeros among the lowest j bits of row i are the length of the
    longest common subsequence of the first i and j words.
    """
    where: dict[int, int] = {}
    for j, word in enumerate(other):
        where[word] = where.get(word, 0) | 1 << j
    full = (1 << len(other)) - 1
    rows = [full]
    for word in line:
        row = rows[-1]
        matched = row & where.get(word, 0)
        rows.append(((row + matched) | (row - matched)) & full)
    positions = []
    i, j = len(line), len(other)
    while i and j:
        if line[i - 1] == other[j - 1]:
            positions.append(i - 1)
            i, j = i - 1, j - 1
        elif (rows[i] & (1 << (j - 1)) - 1).bit_count() + 1 < (rows[i - 1] & (1 << j) - 1).bit_count():
            j -= 1
        else:
            i -= 1
    return positions
