"""How encoders are loaded, and named in a signature: for the metrics that compare meaning, and for the server."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from harness import paths as resources
from harness.errors import require
from harness.hf import loading, weights


def encoder_signature(model: str, library: str) -> str:
    """Return an encoder's part of a signature: a name without local paths, a digest of its weights, the library."""
    require(library.replace("-", "_"), "embeddings", instead="metrics=fast, or metrics.names without it")
    local = resources.resolve(model)
    name = local.name if local.is_dir() and not model.startswith(resources.PREFIX) else model
    digest = weights.identify(weights.locate(model).folder).weights
    return f"model:{name.removeprefix(resources.PREFIX)}|weights:{digest}|{library}:{version(library)}"


def load_sentence_encoder(model: str, device: str | None = None) -> Any:
    """Return a sentence-transformers model in float32, on the best device by default; ModelError when it is damaged."""
    require("sentence_transformers", "embeddings")
    folder = weights.locate(model).folder
    with loading.guarded(folder, "an encoder"):
        from sentence_transformers import SentenceTransformer

        loaded: Any = SentenceTransformer(str(folder), device=device, trust_remote_code=False, local_files_only=True)
    return loaded.float().eval()
