"""Word-by-word agreement against tables worked out by hand and SQuAD's rules written out plainly."""

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
        ("the", "", 0, 1, 0),
    ],
)
def test_table(text: str, reference: str, exact: float, normalized: float, prefix: float) -> None:
    scores = [value(metric, text, reference) for metric in (ExactMatch(), NormalizedMatch(), PrefixMatch())]
    assert scores == [exact, normalized, prefix]


@pytest.mark.parametrize("source", ["wiki", "adversarial"])
def test_squad(source: str) -> None:
    pairs = list(zip(*wiki_pairs(), strict=True)) if source == "wiki" else ADVERSARIAL
    hypotheses, references = zip(*pairs, strict=True)
    np.testing.assert_allclose(
        stats(TokenF1(), hypotheses, references)[:, 0], [squad_f1(*pair) for pair in pairs], atol=1e-12
    )
    equal = [squad_words(a) == squad_words(b) for a, b in pairs]
    np.testing.assert_array_equal(stats(NormalizedMatch(), hypotheses, references)[:, 0], equal)


@given(texts, texts)
def test_any_text(text: str, reference: str) -> None:
    assert value(TokenF1(), text, reference) == pytest.approx(squad_f1(text, reference), abs=1e-12)
    assert value(NormalizedMatch(), text, reference) == (squad_words(text) == squad_words(reference))
    hypotheses, references = text.split(), reference.split()
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(hypotheses, references, strict=False)))
    assert value(PrefixMatch(), text, reference) == (same / len(references) if references else not hypotheses)
