"""Fact agreement: does a completion state the reference's numbers, dates and names, however it words them?

Overlap metrics reward the style of a reference as much as its content; a fine-tune can learn the one without the
other. This counts only what a style cannot supply: numbers, years, dates and capitalised names that are not in the
prompt already. The idea is that of entity-level precision and recall (Nan et al., 2021,
https://aclanthology.org/2021.eacl-main.235/); facts are found by rules for English, without a model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Literal

import numpy as np

from harness.metrics.base import RatioMetric
from harness.metrics.inputs import Texts, pairs
from harness.metrics.token_ids import IntArray
from harness.metrics.vocabulary import KEPT, Vocabulary, words
from harness.types import Completion, Example, FloatArray

Kind = Literal["f1", "precision", "recall"]

APART = 2**32
"""More than there are facts: what parts the numbers of one text's facts from the next one's."""

_MONTHS = ["january", "february", "march", "april", "may", "june"]
_MONTHS += ["july", "august", "september", "october", "november", "december"]
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>\d{4})\b"
_DATES = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_DAY}\s+(?:of\s+)?{_MONTH},?\s+{_YEAR}",
        rf"\b{_MONTH}\s+{_DAY},?\s+{_YEAR}",
        r"\b(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)\b",
    )
]
_ISO_DATE = _DATES[-1]
_FOUR_DIGITS = re.compile(r"\d{4}")
_OF_DATE = re.compile(rf"{'|'.join(_MONTHS)}|\d{{4}}-\d\d-\d\d", re.IGNORECASE)
"""What some word of each text has that states a date."""
_NUMBER = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")
_WORD = re.compile(r"[^\W\d_]\w*(?:[-'’]\w+)*")
_FUNCTION_WORDS = frozenset(
    _WORD.findall(
        "a about after all also although an and another any are as at be because before being between both but by can "
        "could did do does during each either every few first for from had has have he her here his how however i if "
        "in is it its later many may more most much my near no not of often on once one only or other our over she "
        "should since so some such than that the their them then there these they this those though through to under "
        "until up usually was we were what when where whether which while who whose why will with within without would "
        "you your"
    )
)
"""Capitalised only because a sentence starts with them."""


class Facts(RatioMetric):
    """Precision, recall or F1 of the facts that completions state, over all facts of all examples.

    An example without facts on either side does not count.
    """

    parallel = True

    def __init__(self, kind: Kind = "f1") -> None:
        self.name = f"fact_{kind}"
        self._kind = kind

    @property
    def signature(self) -> str:
        """Name and rules; raise `v` when the rules change."""
        return f"{self.name}|facts:numbers+dates+names|lang:en|prompt:excluded|agg:corpus|v:1"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return agreeing facts and the facts that they are a share of, shape (n, 2); for F1 both count twice."""
        common, stated, due = _counts(*pairs(completions, examples), tuple(example.prompt for example in examples)).T
        if self._kind == "f1":
            return np.column_stack([2 * common, stated + due])
        return np.column_stack([common, stated if self._kind == "precision" else due])


def facts(text: str) -> frozenset[str]:
    """Return the facts that `text` states, in a form that equal facts share: '1867', '1867-11-07', 'curie'.

    A date counts as itself and as its year.
    """
    return frozenset[str]().union(*map(_of_word, _with_iso_dates(text).split()))


def _with_iso_dates(text: str) -> str:
    """Write each date as a word of its own, '1867-11-07'."""
    if _FOUR_DIGITS.search(text):
        for pattern in _DATES:
            text = pattern.sub(_iso, text)
    return text


def _iso(match: re.Match[str]) -> str:
    month = match["month"].lower()
    number = _MONTHS.index(month) + 1 if month in _MONTHS else int(month)
    return f" {match['year']}-{number:02}-{int(match['day']):02} "


def _of_word(word: str) -> frozenset[str]:
    if word.islower() and word.isalpha():
        return frozenset()
    if _ISO_DATE.fullmatch(word):
        return frozenset([word, word[:4]])
    names = (name.casefold().replace("’", "'").removesuffix("'s") for name in _WORD.findall(word) if name[0].isupper())
    numbers = (number.replace(",", "").lstrip("0") or "0" for number in _NUMBER.findall(word))
    plain = {number.rstrip("0").rstrip(".") if "." in number else number for number in numbers}
    return frozenset(plain.union(names) - _FUNCTION_WORDS)


@cache
def _lexicon() -> Vocabulary:
    return Vocabulary(_of_word)


@cache
def _of_dates() -> Vocabulary:
    return Vocabulary(lambda word: ["date"] if _OF_DATE.search(word) else [])


@lru_cache(maxsize=2)
def _counts(texts: Texts, references: Texts, prompts: Texts) -> FloatArray:
    """Count facts that both state, that the completion states, and that the reference states; shape (n, 3)."""
    for lexicon in (_lexicon(), _of_dates()):
        lexicon.make_room()
    emptied = words().emptied
    stated, due = (np.setdiff1d(_keys(each, emptied), _given(prompts, emptied), True) for each in (texts, references))
    both = np.intersect1d(stated, due, assume_unique=True)
    counts = [np.bincount(keys // APART, minlength=len(texts)) for keys in (both, stated, due)]
    return np.stack(counts, axis=1).astype(np.float64)


@lru_cache(maxsize=KEPT)
def _keys(texts: Texts, emptied: int) -> IntArray:  # noqa: ARG001 - numbers hold until all were forgotten
    """Return a number for each different fact of each text, in order: the text times APART, and the fact."""
    encoded = _lexicon().encode_next(texts)
    keys = encoded.rows() * APART + encoded.symbols
    perhaps_dated = np.flatnonzero(_of_dates().encode_next(texts).lengths).tolist()
    dated = {i: written for i in perhaps_dated if (written := _with_iso_dates(texts[i])) != texts[i]}
    undated = ~np.isin(encoded.rows(), list(dated))
    facts_of_dated = zip(dated, _lexicon().tokens(list(dated.values())), strict=True)
    more = [i * APART + fact for i, facts in facts_of_dated for fact in facts]
    return np.unique(np.append(keys[(encoded.symbols > 0) & undated], np.array(more, np.int64)))


@lru_cache(maxsize=KEPT)
def _given(prompts: Texts, emptied: int) -> IntArray:  # noqa: ARG001 - as above
    """Return what each prompt gives away, numbered likewise: its facts, and its words however they are written."""
    number = _lexicon().number
    given = [{word.casefold() for word in _WORD.findall(prompt)} | facts(prompt) for prompt in prompts]
    return np.array([i * APART + number(word) for i, words in enumerate(given) for word in words], np.int64)
