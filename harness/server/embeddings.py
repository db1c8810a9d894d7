"""/v1/embeddings: unit vectors of texts from a sentence-transformers model on this machine."""

from __future__ import annotations

import base64
import threading
from functools import cached_property
from typing import Any

import numpy as np

from harness.hf import weights
from harness.hf.encoders import opening
from harness.server.errors import invalid
from harness.server.fields import Fields
from harness.server.generation import LABELS, text
from harness.server.models import unknown_model
from harness.server.settings import Settings

BATCH = 32


class Encoder:
    """The one sentence encoder of a server, loaded on use; it answers one request at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._lock = settings, threading.Lock()

    def answer(self, fields: Fields) -> dict[str, Any]:
        """Answer one request with OpenAI's list of embeddings."""
        model = fields.text("model")
        if model != self._settings.encoder_name:
            raise unknown_model(model)
        given, most = fields.take("input"), self._settings.limits.inputs
        inputs = [given] if isinstance(given, str) else given
        if not isinstance(inputs, list) or not 1 <= len(inputs) <= most:
            fields.refuse("input", f"a text or a list of 1 to {most} texts", given)
        texts = [text(value, f"input[{number}]") for number, value in enumerate(inputs)]
        encoding = fields.choice("encoding_format", ("float", "base64")) if fields.has("encoding_format") else "float"
        dimensions = fields.integer("dimensions", 1)
        for label in LABELS:
            fields.take(label)
        fields.done()
        with self._lock:
            vectors, tokens = self._embed(texts)
        if dimensions not in (None, vectors.shape[1]):
            fields.refuse("dimensions", f"{vectors.shape[1]}, or none", dimensions)
        data = [{"object": "embedding", "index": i, "embedding": _shown(v, encoding)} for i, v in enumerate(vectors)]
        counts = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "model": model, "usage": counts}

    def _embed(self, texts: list[str]) -> tuple[np.ndarray[Any, np.dtype[np.float32]], int]:
        """Return unit vectors, shape (texts, dimensions), and how many tokens they are of."""
        lengths = [len(ids) for ids in self._model.tokenizer(texts, truncation=False, verbose=False)["input_ids"]]
        room = self._model.max_seq_length
        for number, length in enumerate(lengths):
            if room and length > room:
                told = f"input[{number}] has {length} tokens, and the model reads {room}."
                raise invalid(told, f"input[{number}]", "context_length_exceeded")
        found = self._model.encode(texts, batch_size=BATCH, show_progress_bar=False, normalize_embeddings=True)
        return np.asarray(found, np.float32), sum(lengths)

    @cached_property
    def _model(self) -> Any:
        folder = weights.locate(self._settings.encoder).folder
        with opening(folder):
            from sentence_transformers import SentenceTransformer

            loaded: Any = SentenceTransformer(str(folder), trust_remote_code=False, local_files_only=True)
        return loaded.float().eval()


def _shown(vector: np.ndarray[Any, np.dtype[np.float32]], encoding: str) -> str | list[float]:
    if encoding == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    found: list[float] = vector.tolist()
    return found
