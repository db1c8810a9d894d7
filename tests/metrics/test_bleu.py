"""BLEU's numbers and signature are sacrebleu's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from harness.errors import ConfigError
from harness.metrics.bleu import Bleu
from tests.support.text_pairs import ADVERSARIAL, drawn, replicated, stats, wiki_pairs

PIECES = [
    "a",
    "B",
    "7",
    "12",
    ".",
    ",",
    "-",
    "'",
    "(",
    ")",
    '"',
    "/",
    "&",
    "&amp;",
    "<skipped>",
    "-\n",
    "\n",
    " ",
    " the ",
    "é",
    "東",
    "\t",
]
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
OPTIONS: list[dict[str, Any]] = [
    {},
    {"lowercase": True},
    {"tokenize": "none"},
    {"tokenize": "char"},
    {"tokenize": "intl"},
    {"tokenize": "zh"},
]


def corpus(hypotheses: list[str], references: list[str], **options: Any) -> float:
    return float(BLEU(**options).corpus_score(hypotheses, [references]).score)


def sentence(text: str, reference: str, **options: Any) -> float:
    return float(BLEU(effective_order=True, **options).sentence_score(text, [reference]).score)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("source", ["wiki", "adversarial"])
def test_corpus_and_sentences(source: str, options: dict[str, Any]) -> None:
    pairs = zip(*wiki_pairs(), strict=True) if source == "wiki" else ADVERSARIAL
    hypotheses, references = map(list, zip(*pairs, strict=True))
    metric = Bleu(**options)
    rows = stats(metric, hypotheses, references)
    assert float(metric.aggregate(rows.sum(axis=0))) == pytest.approx(
        corpus(hypotheses, references, **options), abs=1e-9
    )
    expected_scores = [sentence(*pair, **options) for pair in zip(hypotheses, references, strict=True)]
    np.testing.assert_allclose(metric.per_example(rows), expected_scores, rtol=0, atol=1e-9)


@given(texts, texts)
def test_any_text(text: str, reference: str) -> None:
    rows = stats(Bleu(), [text], [reference])
    assert float(Bleu().aggregate(rows[0])) == pytest.approx(corpus([text], [reference]), abs=1e-9)
    assert float(Bleu().per_example(rows)[0]) == pytest.approx(sentence(text, reference), abs=1e-9)


@pytest.mark.parametrize("n", [1, 3, 200])
def test_a_resample_is_the_corpus_that_was_drawn(n: int) -> None:
    hypotheses, references = wiki_pairs(200)
    rows = stats(Bleu(), hypotheses[:n], references[:n])
    resamples = [replicated(n, seed) for seed in range(5)]
    expected_scores = [
        corpus([hypotheses[i] for i in drawn_rows], [references[i] for i in drawn_rows]) for drawn_rows in resamples
    ]
    scores = Bleu().aggregate(np.array([drawn(drawn_rows, rows) for drawn_rows in resamples]))
    np.testing.assert_allclose(scores, expected_scores, rtol=0, atol=1e-9)


def test_signature() -> None:
    metric = BLEU(tokenize="intl", lowercase=True)
    metric.corpus_score(["a"], [["a"]])
    assert Bleu(tokenize="intl", lowercase=True).signature == f"BLEU|{metric.get_signature()}"


def test_unknown_tokeniser() -> None:
    with pytest.raises(ConfigError, match="Did you mean '13a'"):
        stats(Bleu(tokenize="13"), ["a"], ["a"])
