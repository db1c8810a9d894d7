"""/v1/embeddings: unit vectors of texts from a local sentence-transformers model."""

from __future__ import annotations

import base64
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from harness.hf.encoders import load_sentence_encoder
from harness.server.errors import invalid
from harness.server.models import unknown_model
from harness.server.requests import Name, RequestModel, Text, limited, one_or_more
from harness.server.settings import Settings

if TYPE_CHECKING:
    from openai.types import CreateEmbeddingResponse

BATCH = 32
Vectors = np.ndarray[Any, np.dtype[np.float32]]


class EmbeddingRequest(RequestModel):
    """A body of /v1/embeddings."""

    model: Name
    input: Annotated[list[Text], one_or_more, limited("inputs")] = Field(min_length=1)
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(default=None, ge=1)
    # labels of the user, which decide nothing
    user: Any = None
    safety_identifier: Any = None
    prompt_cache_key: Any = None


class Encoder:
    """The one sentence encoder of a server, loaded on use; it answers one request at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._lock = settings, threading.Lock()

    def answer(self, request: EmbeddingRequest) -> CreateEmbeddingResponse:
        """Return OpenAI's list of embeddings."""
        from openai.types import CreateEmbeddingResponse, Embedding
        from openai.types.create_embedding_response import Usage

        if request.model != self._settings.encoder_name:
            raise unknown_model(request.model)
        with self._lock:
            vectors, n_tokens = self._embed(request.input)
        width = vectors.shape[1]
        if request.dimensions not in (None, width):
            message = f"dimensions: expected {width}, or none, got {request.dimensions}."
            raise invalid(message, "dimensions", "invalid_value")
        encode = _base64 if request.encoding_format == "base64" else _list
        data = [  # model_construct, because the type has no room for base64, and lists of floats need no check
            Embedding.model_construct(object="embedding", index=index, embedding=encode(vector))
            for index, vector in enumerate(vectors)
        ]
        usage = Usage(prompt_tokens=n_tokens, total_tokens=n_tokens)
        return CreateEmbeddingResponse(object="list", data=data, model=request.model, usage=usage)

    def _embed(self, texts: list[str]) -> tuple[Vectors, int]:
        """Return unit vectors, shape (texts, dimensions), and the number of tokens of the texts."""
        lengths = [len(ids) for ids in self._model.tokenizer(texts, truncation=False, verbose=False)["input_ids"]]
        limit = self._model.max_seq_length
        for number, length in enumerate(lengths):
            if limit and length > limit:
                message = f"input[{number}] has {length} tokens, and the model takes at most {limit}."
                raise invalid(message, f"input[{number}]", "context_length_exceeded")
        vectors = self._model.encode(texts, batch_size=BATCH, show_progress_bar=False, normalize_embeddings=True)
        return np.asarray(vectors, np.float32), sum(lengths)

    @cached_property
    def _model(self) -> Any:
        return load_sentence_encoder(self._settings.encoder)


def _base64(vector: Vectors) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _list(vector: Vectors) -> list[float]:
    values: list[float] = vector.tolist()
    return values
