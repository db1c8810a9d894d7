"""How encoders are loaded, and named in a signature: for the metrics that compare meaning, and for the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness import paths as resources
from harness.errors import ModelError, require
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
    with loading_encoder(folder):
        from sentence_transformers import SentenceTransformer

        loaded: Any = SentenceTransformer(str(folder), device=device, trust_remote_code=False, local_files_only=True)
    return loaded.float().eval()


@contextmanager
def loading_encoder(folder: Path) -> Iterator[None]:
    """Raise ModelError for whatever a library raises on a damaged or unknown encoder, and hide its progress bars."""
    try:
        from transformers.utils import logging

        hf_logging: Any = logging
        enabled = hf_logging.is_progress_bar_enabled()
        hf_logging.disable_progress_bar()
        try:
            yield
        finally:
            if enabled:
                hf_logging.enable_progress_bar()
    except ImportError as error:
        raise loading.missing(error) from error
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder} cannot be loaded as an encoder ({type(error).__name__}: {error}).") from error
