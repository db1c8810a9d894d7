"""ROUGE's numbers are rouge-score's, to the last bit that a sum may differ in."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer

from harness.metrics import vocabulary
from harness.metrics.rouge import _WORD, STEMMED_FROM, SUFFIXES, Kind, Rouge, stemmer
from tests.support.text_pairs import ADVERSARIAL, stats, value, wiki_pairs

KINDS: tuple[Kind, ...] = get_args(Kind)
WORDS = ["a", "the", "b", "running", "runs", "Straße", "42", ".", "\n", "\n\n", "x-y", "İ"]
texts = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)


def expected(text: str, reference: str, stem: bool = True) -> dict[str, float]:
    scores = RougeScorer(list(KINDS), use_stemmer=stem).score(reference, text)
    return {kind: scores[kind].fmeasure for kind in KINDS}


@pytest.mark.parametrize("stem", [True, False])
def test_wiki(stem: bool) -> None:
    hypotheses, references = wiki_pairs()
    expected_scores = [expected(text, reference, stem) for text, reference in zip(hypotheses, references, strict=True)]
    for kind in KINDS:
        rows = stats(Rouge(kind, stem), hypotheses, references)
        np.testing.assert_allclose(rows[:, 0], [scores[kind] for scores in expected_scores], rtol=0, atol=1e-12)
        assert float(Rouge(kind).aggregate(rows.sum(axis=0))) == pytest.approx(rows[:, 0].mean())


def test_wiki_in_lines() -> None:
    hypotheses, references = (tuple(text.replace(" the ", "\nthe ") for text in texts) for texts in wiki_pairs(100))
    expected_scores = [expected(*pair)["rougeLsum"] for pair in zip(hypotheses, references, strict=True)]
    np.testing.assert_allclose(
        stats(Rouge("rougeLsum"), hypotheses, references)[:, 0], expected_scores, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(("text", "reference"), ADVERSARIAL)
def test_adversarial(text: str, reference: str) -> None:
    expected_scores = expected(text, reference)
    assert {kind: value(Rouge(kind), text, reference) for kind in KINDS} == pytest.approx(expected_scores, abs=1e-12)


@given(texts, texts)
def test_any_lines(text: str, reference: str) -> None:
    expected_scores = expected(text, reference)
    assert {kind: value(Rouge(kind), text, reference) for kind in KINDS} == pytest.approx(expected_scores, abs=1e-12)


def test_stems_are_nltks() -> None:
    words = {word for text in wiki_pairs(3000)[1] for word in _WORD.findall(text.lower()) if len(word) >= STEMMED_FROM}
    assert len(words) > 5000
    stem = stemmer()
    assert [word for word in words if stem(word) != PorterStemmer().stem(word)] == []


@given(st.text("abceilorstuvyz", min_size=STEMMED_FROM), st.lists(st.sampled_from([*SUFFIXES, "eed", "bl", "ful"])))
def test_stems_of_suffixes_in_any_order_are_nltks(word: str, suffixes: list[str]) -> None:
    word += "".join(suffixes)
    assert stemmer()(word) == PorterStemmer().stem(word)


def test_a_full_vocabulary_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    hypotheses, references = wiki_pairs(20)
    before = stats(Rouge("rougeL"), hypotheses, references)
    monkeypatch.setattr(vocabulary, "MAX_WORDS", 3)
    np.testing.assert_array_equal(stats(Rouge("rougeL"), hypotheses[::-1], references[::-1]), before[::-1])
    stats(Rouge("rougeL"), ["one"], ["two"])
    assert len(vocabulary.words()) == 1 + 2
    np.testing.assert_array_equal(stats(Rouge("rougeL"), hypotheses, references), before)


def test_signature() -> None:
    assert Rouge("rouge1", stem=False).signature == "rouge1|tok:rouge|stem:none|score:f|agg:mean|version:0.1.2"
