"""ROUGE (Lin, 2004, https://aclanthology.org/W04-1013/) with the numbers of Google's rouge-score, many times faster.

rouge-score spends most of its time in nltk's Porter stemmer (1980, https://doi.org/10.1108/eb046814) and in tables for
the longest common subsequence. Here each distinct word is stemmed once, and only by the steps that can change it; words
are numbers; n-grams of the whole corpus are matched at once; and rapidfuzz computes the subsequence lengths. The four
kinds of ROUGE share all of that, and models share the references.

rouge-score's words are runs of a-z and 0-9, so that it sees nothing of a text in another script. `tokenizer=unicode`
takes words of all scripts, see `harness.metrics.scripts`; on ASCII text its numbers are the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Literal, NamedTuple, get_args

import numpy as np

from harness.errors import ConfigError, unknown
from harness.metrics.base import BaseMetric, mean_stats
from harness.metrics.inputs import Texts, pairs
from harness.metrics.ngrams import clipped_matches
from harness.metrics.scripts import unicode_words
from harness.metrics.token_ids import IntArray
from harness.metrics.vocabulary import MAX_WORDS, Vocabulary
from harness.types import Completion, Example, FloatArray

Kind = Literal["rouge1", "rouge2", "rougeL", "rougeLsum"]
Tokenizer = Literal["rouge", "unicode"]
Stem = Callable[[str], str]


class RougeWords(NamedTuple):
    """What a word is: by which tokenizer, and whether words are stemmed."""

    tokenizer: str = "rouge"
    stem: bool = True


_WORD = re.compile(r"[a-z0-9]+")
STEMMED_FROM = 4
"""rouge-score stems only words of at least so many characters."""
STEP_ENDINGS: dict[str, tuple[str, ...]] = {
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
SUFFIXES = tuple(suffix for endings in STEP_ENDINGS.values() for suffix in endings)


class Rouge(BaseMetric):
    """The mean over examples of ROUGE's F-measure, by unigrams, bigrams or longest common subsequence.

    `rougeLsum` takes each line as a sentence, as rouge-score does without `split_summaries`; for texts of one line it
    equals `rougeL`. `stem` False compares words without stemming. `tokenizer` is `rouge`, rouge-score's own, or
    `unicode`, of which ASCII words alone are stemmed.
    """

    parallel = True
    bounds = (0.0, 1.0)

    def __init__(self, kind: Kind = "rougeL", stem: bool = True, tokenizer: Tokenizer = "rouge") -> None:
        if tokenizer not in get_args(Tokenizer):
            raise ConfigError(f"metrics.options.{kind}: {unknown('tokenizer', str(tokenizer), get_args(Tokenizer))}")
        self.name = kind
        self._kind = kind
        self._words = RougeWords(tokenizer, stem)

    @property
    def signature(self) -> str:
        """Kind, options and the version of rouge-score that gives the same numbers."""
        tokenizer, stem = self._words
        stemmer = "porter" if stem else "none"
        return f"{self.name}|tok:{tokenizer}|stem:{stemmer}|score:f|agg:mean|version:{version('rouge-score')}"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return an F-measure from 0 to 1, and a weight of 1, shape (n, 2)."""
        hypotheses, references = pairs(completions, examples)
        totals = [encoded.totals(2) for encoded in _vocabulary(self._words).encode(hypotheses, references)]
        order = 1
        if self._kind == "rougeL":
            matches = _subsequences(hypotheses, references, self._words)
        elif self._kind == "rougeLsum":
            matches = _union_subsequences(hypotheses, references, self._words)
        else:
            order = int(self._kind[-1])
            matches = _ngrams(hypotheses, references, self._words)[:, order - 1]
        n_hypothesis, n_reference = (counts[:, order - 1] for counts in totals)
        return mean_stats(_f_measure(matches, n_hypothesis, n_reference))


def _f_measure(matches: IntArray, n_hypothesis: IntArray, n_reference: IntArray) -> FloatArray:
    precision, recall = matches / np.maximum(n_hypothesis, 1), matches / np.maximum(n_reference, 1)
    total = precision + recall
    return np.where(total > 0, 2 * precision * recall / np.where(total > 0, total, 1.0), 0.0)


@cache
def _vocabulary(words: RougeWords) -> Vocabulary:
    split = unicode_words if words.tokenizer == "unicode" else _ascii_words
    if not words.stem:
        return Vocabulary(split)
    stemmed = lru_cache(maxsize=MAX_WORDS)(stemmer())
    if words.tokenizer == "unicode":
        return Vocabulary(lambda text: (stemmed(word) if word.isascii() else word for word in split(text)))
    return Vocabulary(lambda text: map(stemmed, split(text)))


def _ascii_words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def stemmer() -> Stem:
    """Return a function that stems a lower-case word as rouge-score does: nltk's, without steps that change nothing."""
    from nltk.stem.porter import PorterStemmer

    porter = PorterStemmer()
    for name, endings in STEP_ENDINGS.items():
        if step := getattr(porter, name, None):
            setattr(porter, name, _only_for(endings, step))
    return lambda word: str(porter.stem(word)) if len(word) >= STEMMED_FROM and word.endswith(SUFFIXES) else word


def _only_for(endings: tuple[str, ...], step: Stem) -> Stem:
    return lambda word: step(word) if word.endswith(endings) else word


@lru_cache(maxsize=2)
def _ngrams(hypotheses: Texts, references: Texts, words: RougeWords) -> IntArray:
    """Count the common unigrams and bigrams of each pair, shape (n, 2)."""
    encoded, encoded_references = _vocabulary(words).encode(hypotheses, references)
    return clipped_matches(encoded, encoded_references, 2)


@lru_cache(maxsize=2)
def _subsequences(hypotheses: Texts, references: Texts, words: RougeWords) -> IntArray:
    """Return the length of the longest common subsequence of each pair, shape (n,)."""
    from rapidfuzz import process
    from rapidfuzz.distance import LCSseq

    strings = (encoded.strings() for encoded in _vocabulary(words).encode(hypotheses, references))
    lengths: IntArray = process.cpdist(*strings, scorer=LCSseq.similarity, dtype=np.int64)
    return lengths


def _union_subsequences(hypotheses: Texts, references: Texts, words: RougeWords) -> IntArray:
    """Count the matches of rougeLsum, shape (n,): those of rougeL, except for texts of several lines."""
    matches = _subsequences(hypotheses, references, words).copy()
    pairs = {i: pair for i, pair in enumerate(zip(hypotheses, references, strict=True)) if "\n" in "".join(pair)}
    lines = [line for pair in pairs.values() for text in pair for line in text.split("\n")]
    tokens = iter(_vocabulary(words).tokens(lines))
    for i, pair in pairs.items():
        hypothesis_lines, reference_lines = ([next(tokens) for _ in text.split("\n")] for text in pair)
        matches[i] = _union_matches(hypothesis_lines, reference_lines)
    return matches


def _union_matches(hypothesis_lines: list[list[int]], reference_lines: list[list[int]]) -> int:
    """Count the union of each reference line's common subsequences with all hypothesis lines (Lin, 2004, section 3.2).

    As in ROUGE 1.5.5, a word counts at most as often as it occurs in both texts.
    """
    lines_of_both = (hypothesis_lines, reference_lines)
    unused, unused_reference = (Counter(word for line in lines for word in line) for lines in lines_of_both)
    matches = 0
    for reference in reference_lines:
        union = {position for line in hypothesis_lines for position in _common_positions(reference, line)}
        for word in map(reference.__getitem__, sorted(union)):
            if unused[word] and unused_reference[word]:
                matches += 1
                unused[word] -= 1
                unused_reference[word] -= 1
    return matches


def _common_positions(line: list[int], other: list[int]) -> list[int]:
    """Return the positions in `line` of the longest common subsequence that rouge-score's backtracking finds.

    Rows of the table are bit vectors (Hyyrö, 2004): the zeros among the lowest j bits of row i are the length of the
    longest common subsequence of the first i and j words.
    """
    masks: dict[int, int] = {}
    for j, word in enumerate(other):
        masks[word] = masks.get(word, 0) | 1 << j
    full = (1 << len(other)) - 1
    rows = [full]
    for word in line:
        row = rows[-1]
        matched = row & masks.get(word, 0)
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
