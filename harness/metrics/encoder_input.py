"""What an encoder sees of a text: its tokenizer alone tells, without the model, so that it is known before any work.

A tokenizer with a closed vocabulary, such as BERT's, gives one unknown token for every word of a script that it does
not know: all such texts are then alike to the encoder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.hf import weights

MOSTLY = 0.5
"""The share of unknown tokens from which a text is not read."""


def beyond_encoder(model: str, texts: Sequence[str], limit_file: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which texts are mostly unknown to an encoder's tokenizer, and which are longer than the encoder reads.

    `limit_file` is the file of the model's folder that has the limit. Nothing is known of a model without a
    `tokenizer.json`, and nothing is unknown to a tokenizer without an unknown token.
    """
    folder = weights.locate(model).folder
    nothing = np.zeros(len(texts), bool)
    files = [folder / "tokenizer.json", folder / "0_Transformer" / "tokenizer.json"]
    path = next((file for file in files if file.exists()), None)
    if path is None:
        return nothing, nothing
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    unknown = str(getattr(tokenizer.model, "unk_token", None) or "")
    limit = _limit(path.parent, folder, limit_file)
    mostly, longer = nothing.copy(), nothing.copy()
    for i, encoding in enumerate(tokenizer.encode_batch(list(texts))):
        tokens = [t for t, special in zip(encoding.tokens, encoding.special_tokens_mask, strict=True) if not special]
        mostly[i] = not tokens or (bool(unknown) and tokens.count(unknown) >= MOSTLY * len(tokens))
        longer[i] = limit is not None and len(encoding.tokens) > limit
    return mostly, longer


def _limit(*folders_and_file: Path | str) -> int | None:
    """Return the most tokens that an encoder reads, None where its files do not say."""
    *folders, limit_file = folders_and_file
    for file in (Path(folder, limit_file) for folder in folders):
        try:
            values = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        for key in ("max_seq_length", "model_max_length"):
            value = values.get(key)
            if isinstance(value, int) and 0 < value < 10**6:  # a tokenizer without a limit has 10^30
                return value
    return None
