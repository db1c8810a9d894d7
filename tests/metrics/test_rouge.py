"""ROUGE's numbers are rouge-score's, to the last bit that a sum may differ in."""

from __future__ import annotations

import re
import unicodedata
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer

from harness.errors import ConfigError
from harness.metrics import vocabulary
from harness.metrics.rouge import _WORD, STEMMED_FROM, SUFFIXES, Kind, Rouge, Tokenizer, stemmer
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


class UnicodeTokenizer:
    """What `RougeScorer` takes as `tokenizer`: letters, marks and digits by their categories, Chinese by character."""

    def __init__(self, stem: bool) -> None:
        self.stem = PorterStemmer().stem if stem else str

    def tokenize(self, text: str) -> list[str]:
        composed = unicodedata.normalize("NFC", text.lower())
        letters = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in composed)
        words = re.sub("([\u4e00-\u9fff])", r" \1 ", letters).split()
        return [self.stem(w) if w.isascii() and len(w) >= STEMMED_FROM else w for w in words]


SCRIPTS = [
    ("今天天气很好，我们去公园散步。", "今天天气不好，我们不去公园。"),
    ("北京是中国的首都。", "他昨天买了一本新书。"),
    ("GPT-4 很好 running", "GPT-4 不好 runs"),
    ("Сегодня хорошая погода.", "Сегодня плохая погода, сегодня."),
    ("आज मौसम बहुत अच्छा है।", "आज मौसम अच्छा नहीं है।"),
    ("الطقس جميل اليوم", "الطقس سيئ اليوم"),
    ("서울은 수도입니다.", "부산은 수도가 아닙니다."),
    ("naïve cafe\u0301 running", "naive café runs"),
]


@pytest.mark.parametrize("stem", [True, False])
@pytest.mark.parametrize(("text", "reference"), SCRIPTS)
def test_unicode_words_are_scored_as_by_rouge_score(text: str, reference: str, stem: bool) -> None:
    scores = RougeScorer(list(KINDS), tokenizer=UnicodeTokenizer(stem)).score(reference, text)
    for kind in KINDS:
        metric = Rouge(kind, stem, "unicode")
        assert value(metric, text, reference) == pytest.approx(scores[kind].fmeasure, abs=1e-12)
        assert value(metric, reference, reference) == 1


def test_unicode_words_leave_ascii_as_it_was() -> None:
    hypotheses, references = (tuple(t.encode("ascii", "ignore").decode() for t in texts) for texts in wiki_pairs(100))
    for kind in KINDS:
        by_default, by_unicode = (stats(Rouge(kind, tokenizer=t), hypotheses, references) for t in get_args(Tokenizer))
        np.testing.assert_array_equal(by_default, by_unicode)


def test_lines_of_another_script_are_sentences() -> None:
    tokenizer = UnicodeTokenizer(True)
    text, reference = "今天很好\n我们散步", "我们去散步\n今天很好"
    expected_score = RougeScorer(["rougeLsum"], tokenizer=tokenizer).score(reference, text)["rougeLsum"].fmeasure
    assert value(Rouge("rougeLsum", tokenizer="unicode"), text, reference) == pytest.approx(expected_score)


def test_signature() -> None:
    assert Rouge("rouge1", stem=False).signature == "rouge1|tok:rouge|stem:none|score:f|agg:mean|version:0.1.2"
    assert Rouge(tokenizer="unicode").signature == "rougeL|tok:unicode|stem:porter|score:f|agg:mean|version:0.1.2"
    with pytest.raises(
        ConfigError, match=r"metrics\.options\.rougeL: Unknown tokenizer 'mecab'.* Valid: rouge, unicode"
    ):
        Rouge(tokenizer="mecab")  # type: ignore[arg-type]
