"""chrF's numbers and signature are sacrebleu's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.chrf import CHRF

from harness.metrics import ngrams
from harness.metrics.chrf import Chrf
from tests.support.text_pairs import ADVERSARIAL, drawn, replicated, stats, wiki_pairs

OPTIONS: list[dict[str, Any]] = [{}, {"lowercase": True}, {"word_order": 2}]
texts = st.text(alphabet="abA (.)é東\n\0", max_size=20)


def corpus(hypotheses: list[str], references: list[str], **options: Any) -> float:
    return float(CHRF(**options).corpus_score(hypotheses, [references]).score)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("source", ["wiki", "adversarial"])
def test_corpus_and_sentences(source: str, options: dict[str, Any]) -> None:
    pairs = zip(*wiki_pairs(), strict=True) if source == "wiki" else ADVERSARIAL
    hypotheses, references = map(list, zip(*pairs, strict=True))
    metric = Chrf(**options)
    rows = stats(metric, hypotheses, references)
    assert float(metric.aggregate(rows.sum(axis=0))) == pytest.approx(
        corpus(hypotheses, references, **options), abs=1e-9
    )
    expected_scores = [
        CHRF(**options).sentence_score(a, [b]).score for a, b in zip(hypotheses, references, strict=True)
    ]
    np.testing.assert_allclose(metric.per_example(rows), expected_scores, rtol=0, atol=1e-9)


@given(texts, texts)
def test_any_text(text: str, reference: str) -> None:
    metric = Chrf(word_order=2)
    rows = stats(metric, [text], [reference])
    assert float(metric.aggregate(rows[0])) == pytest.approx(corpus([text], [reference], word_order=2), abs=1e-9)


def test_a_resample_is_the_corpus_that_was_drawn() -> None:
    hypotheses, references = wiki_pairs(100)
    rows = replicated(100)
    expected_scores = corpus([hypotheses[i] for i in rows], [references[i] for i in rows])
    assert float(Chrf().aggregate(drawn(rows, stats(Chrf(), hypotheses, references)))) == pytest.approx(
        expected_scores, abs=1e-9
    )


@pytest.mark.parametrize("key_bits", [20, 40])
def test_alphabets_that_fill_the_keys(key_bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    hypotheses, references = wiki_pairs(40)
    expected_scores = stats(Chrf(), hypotheses, references)
    monkeypatch.setattr(ngrams, "KEY_BITS", key_bits)
    np.testing.assert_array_equal(stats(Chrf(), hypotheses, references), expected_scores)


def test_thousands_of_distinct_characters() -> None:
    reference = "".join(map(chr, range(0x4E00, 0x4E00 + 3000)))
    text = reference[10:1500] + reference[:700]
    assert float(Chrf().aggregate(stats(Chrf(), [text], [reference])[0])) == pytest.approx(corpus([text], [reference]))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_signature(options: dict[str, Any]) -> None:
    metric = CHRF(**options)
    score = metric.corpus_score(["a"], [["a"]])
    assert Chrf(**options).signature == f"{score.name}|{metric.get_signature()}"
