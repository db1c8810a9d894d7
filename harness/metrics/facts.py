"""Fact agreement: the share of numbers, dates and names that completion and reference agree on, in any wording.

Overlap metrics reward the style of a reference as much as its content, and a fine-tune can learn one without the other.
These metrics count only what a style cannot supply: numbers, years, dates and capitalised names that are not in the
prompt. The idea is that of entity-level precision and recall (Nan et al., 2021,
https://aclanthology.org/2021.eacl-main.235/). Facts are extracted by rules for English, without a model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Literal

import numpy as np

from harness.metrics.base import BaseMetric
from harness.metrics.inputs import Texts, pairs
from harness.metrics.scripts import composed
from harness.metrics.token_ids import IntArray
from harness.metrics.vocabulary import CACHED_SETS, Vocabulary, words
from harness.types import Completion, Example, FloatArray

Kind = Literal["f1", "precision", "recall"]

TEXT_STRIDE = 2**32
"""More than there are facts: a fact of text i has the key i * TEXT_STRIDE + the number of the fact."""

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
_DATE_WORD = re.compile(rf"{'|'.join(_MONTHS)}|\d{{4}}-\d\d-\d\d", re.IGNORECASE)
"""Found in some word of every text that states a date."""
_NUMBER = re.compile(r"(?:(?<![\w.])[-−])?(?:\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|(?<![\w.])\.\d+)")
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
"""Words that are capitalised only at the start of a sentence, and are not names."""


class Facts(BaseMetric):
    """Precision, recall or F1 of the facts that completions state, over all facts of all examples.

    An example without facts on either side does not count.
    """

    parallel = True
    score_range = (0.0, 1.0)

    def __init__(self, kind: Kind = "f1") -> None:
        self.name = f"fact_{kind}"
        self._kind = kind

    @property
    def signature(self) -> str:
        """Name and rules; raise `v` when the rules change."""
        return f"{self.name}|facts:numbers+dates+names|lang:en|prompt:excluded|agg:corpus|v:2"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return the number of facts in both texts, and that of which it is a share, shape (n, 2); doubled for F1."""
        prompts = tuple(example.prompt for example in examples)
        common, n_hypothesis, n_reference = _counts(*pairs(completions, examples), prompts).T
        if self._kind == "f1":
            return np.column_stack([2 * common, n_hypothesis + n_reference])
        return np.column_stack([common, n_hypothesis if self._kind == "precision" else n_reference])


def facts(text: str) -> frozenset[str]:
    """Return the facts that `text` states, in a normal form: '1867', '1867-11-07', 'curie'.

    A date counts as itself and as its year.
    """
    return frozenset[str]().union(*map(_facts_of_word, _with_iso_dates(text).split()))


def _with_iso_dates(text: str) -> str:
    """Replace each date by a word of its own, '1867-11-07'."""
    if _FOUR_DIGITS.search(text):
        for pattern in _DATES:
            text = pattern.sub(_iso, text)
    return text


def _iso(match: re.Match[str]) -> str:
    month = match["month"].lower()
    number = _MONTHS.index(month) + 1 if month in _MONTHS else int(month)
    return f" {match['year']}-{number:02}-{int(match['day']):02} "


def _facts_of_word(word: str) -> frozenset[str]:
    if word.islower() and word.isalpha():
        return frozenset()
    word = composed(word)
    if _ISO_DATE.fullmatch(word):
        return frozenset([word, word[:4]])
    names = (name.casefold().replace("’", "'").removesuffix("'s") for name in _WORD.findall(word) if name[0].isupper())
    numbers = map(_plain_number, _NUMBER.findall(word))
    return frozenset({*numbers, *names} - _FUNCTION_WORDS)


def _plain_number(number: str) -> str:
    """Return a number without thousands separators and without zeros that say nothing: '-1,040.50' is '-1040.5'."""
    sign = "-" if number[0] in "-−" else ""
    digits = number.lstrip("-−").replace(",", "").lstrip("0") or "0"
    return sign + (digits.rstrip("0").rstrip(".") or "0" if "." in digits else digits)


@cache
def _fact_vocabulary() -> Vocabulary:
    return Vocabulary(_facts_of_word)


@cache
def _date_vocabulary() -> Vocabulary:
    return Vocabulary(lambda word: ["date"] if _DATE_WORD.search(word) else [])


@lru_cache(maxsize=2)
def _counts(hypotheses: Texts, references: Texts, prompts: Texts) -> FloatArray:
    """Count the facts in both texts, in the hypothesis and in the reference, shape (n, 3), without the prompt's."""
    for vocabulary in (_fact_vocabulary(), _date_vocabulary()):
        vocabulary.make_room()
    n_clears = words().n_clears
    prompt_facts = _prompt_keys(prompts, n_clears)
    stated, expected = (np.setdiff1d(_keys(texts, n_clears), prompt_facts, True) for texts in (hypotheses, references))
    both = np.intersect1d(stated, expected, assume_unique=True)
    counts = [np.bincount(keys // TEXT_STRIDE, minlength=len(hypotheses)) for keys in (both, stated, expected)]
    return np.stack(counts, axis=1).astype(np.float64)


@lru_cache(maxsize=CACHED_SETS)
def _keys(texts: Texts, n_clears: int) -> IntArray:  # noqa: ARG001 - cached until the numbers are cleared
    """Return the sorted keys of the distinct facts of each text; see TEXT_STRIDE."""
    encoded = _fact_vocabulary().encode_next(texts)
    keys = encoded.rows() * TEXT_STRIDE + encoded.symbols
    perhaps_dated = np.flatnonzero(_date_vocabulary().encode_next(texts).lengths).tolist()
    dated = {i: rewritten for i in perhaps_dated if (rewritten := _with_iso_dates(texts[i])) != texts[i]}
    undated = ~np.isin(encoded.rows(), list(dated))
    facts_of_dated = zip(dated, _fact_vocabulary().tokens(list(dated.values())), strict=True)
    dated_keys = [i * TEXT_STRIDE + fact for i, facts in facts_of_dated for fact in facts]
    return np.unique(np.append(keys[(encoded.symbols > 0) & undated], np.array(dated_keys, np.int64)))


@lru_cache(maxsize=CACHED_SETS)
def _prompt_keys(prompts: Texts, n_clears: int) -> IntArray:  # noqa: ARG001 - as above
    """Return the keys of what each prompt states already: its facts, and its words in any case."""
    number = _fact_vocabulary().number
    excluded = [{word.casefold() for word in _WORD.findall(prompt)} | facts(prompt) for prompt in prompts]
    keys = [i * TEXT_STRIDE + number(word) for i, words in enumerate(excluded) for word in words]
    return np.array(keys, np.int64)
