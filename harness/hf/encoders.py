"""How encoders are loaded, and named in a signature: for the metrics that compare meaning, and for the server."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness import paths as resources
from harness.errors import require
from harness.hf import integrity, loading, weights
from harness.store.digest import digest

_LOCAL = {
    "local_files_only": True,
    "trust_remote_code": False,
    "use_safetensors": True,
    "output_loading_info": True,
    "ignore_mismatched_sizes": True,  # they are refused by name
}


def encoder_signature(model: str, library: str) -> str:
    """Return an encoder's part of a signature: a name without local paths, a digest of its files, the library."""
    require(library.replace("-", "_"), "embeddings", instead="metrics=fast, or metrics.names without it")
    local = resources.resolve(model)
    name = local.name if local.is_dir() and not model.startswith(resources.PREFIX) else model
    files = weights.identify(weights.locate(model).folder)
    key = digest([files.weights, files.tokenizer])
    return f"model:{name.removeprefix(resources.PREFIX)}|weights:{key}|{library}:{version(library)}"


def load_sentence_encoder(model: str, device: str | None = None) -> Any:
    """Return a sentence-transformers model in float32, on the best device by default.

    ModelError when its files are damaged, lack a layer or hold values that are not finite.
    """
    require("sentence_transformers", "embeddings")
    folder = weights.locate(model).folder
    with loading.guarded(folder, "an encoder"):
        from sentence_transformers import SentenceTransformer

        loaded: Any = SentenceTransformer(str(folder), device=device, trust_remote_code=False, local_files_only=True)
        _check_layers(loaded, folder)
    encoder = loaded.float().eval()
    integrity.refuse_non_finite(encoder.named_parameters(), folder, loading.DAMAGED)
    return encoder


def load_token_encoder(model: str, device: str) -> Any:
    """Return an encoder of transformers in float32; ModelError as in `load_sentence_encoder`."""
    folder = weights.locate(model).folder
    with loading.guarded(folder, "an encoder"):
        from transformers import AutoModel

        auto: Any = AutoModel
        loaded, info = auto.from_pretrained(folder, **_LOCAL, dtype="float32")
        integrity.refuse_encoder_misfit(folder, info)
        integrity.refuse_non_finite(loaded.named_parameters(), folder, loading.DAMAGED)
        return loaded.to(device).eval()


def _check_layers(encoder: Any, folder: Path) -> None:
    """Raise a ModelError where files lack a layer of a sentence encoder, which its library does not report.

    Its transformer is loaded once more, without memory for its weights.
    """
    for inner in ("", "0_Transformer"):
        if not (folder / inner / "config.json").exists() or not hasattr(encoder[0], "auto_model"):
            continue
        without_weights = {"device_map": "meta"} if importlib.util.find_spec("accelerate") else {}
        _, info = type(encoder[0].auto_model).from_pretrained(folder / inner, **_LOCAL, **without_weights)
        integrity.refuse_encoder_misfit(folder, info)
        return
