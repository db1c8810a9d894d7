"""Word-by-word agreement against tables worked out by hand and SQuAD's rules written out plainly.

SQuAD's rules hold wherever normalisation leaves something of both texts; the tables have where they do not.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from itertools import takewhile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.exact import ExactMatch, NormalizedMatch, PrefixMatch, TokenF1
from tests.support.text_pairs import ADVERSARIAL, stats, value, wiki_pairs

PIECES = ["a", "an", "The", "the", "cat", "Cats", "-", "–", ".", "'", " ", "  ", "\n", "\0", "Σ", "é"]
_OWN_RULES = re.compile(r"\d[^\w\s]\d|-\.?\d|(?<!\w)\.\d|[\u0300-\u036f\u3000-\u9fff]")
"""Numbers with punctuation, combining marks and scripts that SQuAD's rules do not know."""
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


def squad_words(text: str) -> list[str]:
    remaining = "".join(character for character in text.lower() if character not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", remaining).split()


def squad_f1(text: str, reference: str) -> float:
    hypotheses, references = squad_words(text), squad_words(reference)
    if not hypotheses or not references:
        return float(hypotheses == references)
    common = (Counter(hypotheses) & Counter(references)).total()
    if not common:
        return 0.0
    precision, recall = common / len(hypotheses), common / len(references)
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize(
    ("text", "reference", "exact", "normalized", "prefix"),
    [
        ("Paris", "Paris", 1, 1, 1),
        ("paris.", "Paris", 0, 1, 0),
        (" Paris", "Paris", 0, 1, 1),
        ("the cat sat", "A cat, sat!", 0, 1, 0),
        ("a river in Asia", "a river in Africa", 0, 0, 0.75),
        ("a river", "a river in Africa", 0, 0, 0.5),
        ("a river in Africa that", "a river in Africa", 0, 0, 1),
        ("", "", 1, 1, 1),
        ("", "word", 0, 0, 0),
        ("word", "", 0, 0, 0),
        ("the", "", 0, 0, 0),
        ("The", "A", 0, 0, 0),
        ("a.", "A", 0, 1, 0),
        ("", "A", 0, 0, 0),
        ("?", "?", 1, 1, 1),
        ("!", "?", 0, 0, 0),
        ("...", "?", 0, 0, 0),
        ("", "?", 0, 0, 0),
        ("45", "4.5", 0, 0, 0),
        ("-4.5", "4.5", 0, 0, 0),
        ("4.5.", "4.5", 0, 1, 0),
        (".5", "5", 0, 0, 0),
        ("1000", "1,000", 0, 1, 0),
        ("$1,000.50", "1000.50", 0, 1, 0),
        ("1030", "10:30", 0, 0, 0),
        ("covid-19", "COVID19", 0, 1, 0),
        ("北京", "北京。", 0, 1, 2 / 3),
        ("北京市", "北京", 0, 0, 1),
        ("مرحبا", "مرحبا؟", 0, 1, 0),
        ("दिल्ली।", "दिल्ली", 0, 1, 0),
        ("दिल्ली", "दिल्ला", 0, 0, 0),
        ("café", "cafe\u0301", 0, 1, 1),
        ("cafe", "cafe\u0301", 0, 0, 0),
        ("an", "a\u0301n", 0, 0, 0),
    ],
)
def test_table(text: str, reference: str, exact: float, normalized: float, prefix: float) -> None:
    scores = [value(metric, text, reference) for metric in (ExactMatch(), NormalizedMatch(), PrefixMatch())]
    assert scores == pytest.approx([exact, normalized, prefix])


@pytest.mark.parametrize(
    ("text", "reference", "f1"),
    [
        ("天气好", "天气", 0.8),
        ("Answer: A", "A", 2 / 3),
        ("A cat", "A", 2 / 3),
        ("4 5", "4.5", 0),
        ("สวัสดี ครับ", "สวัสดี", 8 / 11),
    ],
)
def test_f1_of_what_squad_does_not_read(text: str, reference: str, f1: float) -> None:
    assert value(TokenF1(), text, reference) == pytest.approx(f1)


@pytest.mark.parametrize("source", ["wiki", "adversarial"])
def test_squad(source: str) -> None:
    pairs = list(zip(*wiki_pairs(), strict=True)) if source == "wiki" else ADVERSARIAL
    pairs = [pair for pair in pairs if all(map(squad_words, pair)) and not any(map(_OWN_RULES.search, pair))]
    assert len(pairs) > 5
    hypotheses, references = zip(*pairs, strict=True)
    np.testing.assert_allclose(
        stats(TokenF1(), hypotheses, references)[:, 0], [squad_f1(*pair) for pair in pairs], atol=1e-12
    )
    equal = [squad_words(a) == squad_words(b) for a, b in pairs]
    np.testing.assert_array_equal(stats(NormalizedMatch(), hypotheses, references)[:, 0], equal)


@given(texts, texts)
def test_any_text(text: str, reference: str) -> None:
    if squad_words(text) and squad_words(reference):
        assert value(TokenF1(), text, reference) == pytest.approx(squad_f1(text, reference), abs=1e-12)
        assert value(NormalizedMatch(), text, reference) == (squad_words(text) == squad_words(reference))
    hypotheses, references = text.split(), reference.split()
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(hypotheses, references, strict=False)))
    assert value(PrefixMatch(), text, reference) == (same / len(references) if references else not hypotheses)
