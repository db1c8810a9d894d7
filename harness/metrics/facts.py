"""Fact agreement: does a completion state the reference's numbers, dates and names, however it words them?

Overlap metrics reward the style of a reference as much as its content; a fine-tune can learn the one without the
other. This counts only what a style cannot supply: numbers, years, dates and capitalised names that are not in the
prompt already. The idea is that of entity-level precision and recall (Nan et al., 2021,
https://aclanthology.org/2021.eacl-main.235/); facts are found by rules for English, without a model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np

from harness.metrics.encoded import KEPT, MAX_WORDS
from harness.metrics.mean import RatioMetric
from harness.metrics.texts import Texts, pairs
from harness.types import Completion, Example, FloatArray

Kind = Literal["f1", "precision", "recall"]

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
_FOUR_DIGITS = re.compile(r"\d{4}")
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
    found: set[str] = set()
    if _FOUR_DIGITS.search(text):
        for pattern in _DATES:
            found.update(*map(_date, pattern.finditer(text)))
            text = pattern.sub(" ", text)
    return frozenset(found.union(*map(_of_word, text.split())))


def _date(match: re.Match[str]) -> tuple[str, str]:
    month = match["month"].lower()
    number = _MONTHS.index(month) + 1 if month in _MONTHS else int(month)
    return match["year"], f"{match['year']}-{number:02}-{int(match['day']):02}"


@lru_cache(maxsize=MAX_WORDS)
def _of_word(word: str) -> frozenset[str]:
    names = (name.casefold().replace("’", "'").removesuffix("'s") for name in _WORD.findall(word) if name[0].isupper())
    numbers = (number.replace(",", "").lstrip("0") or "0" for number in _NUMBER.findall(word))
    plain = {number.rstrip("0").rstrip(".") if "." in number else number for number in numbers}
    return frozenset(plain.union(names) - _FUNCTION_WORDS)


@lru_cache(maxsize=KEPT)
def _all(texts: Texts) -> list[frozenset[str]]:
    return [facts(text) for text in texts]


@lru_cache(maxsize=KEPT)
def _given(prompts: Texts) -> list[frozenset[str]]:
    """Return what each prompt gives away: its facts, and its words however they are written."""
    return [facts(prompt) | {word.casefold() for word in _WORD.findall(prompt)} for prompt in prompts]


@lru_cache(maxsize=2)
def _counts(texts: Texts, references: Texts, prompts: Texts) -> FloatArray:
    """Count facts that both state, that the completion states, and that the reference states; shape (n, 3)."""
    rows = []
    for ours, theirs, given in zip(_all(texts), _all(references), _given(prompts), strict=True):
        stated, due = ours - given, theirs - given
        rows.append((len(stated & due), len(stated), len(due)))
    return np.array(rows, dtype=np.float64).reshape(-1, 3)
