"""Likelihoods of given completions under a local model, with the encoding that fine-tunes use for training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.errors import ModelError
from harness.hf.forward import Forward
from harness.hf.tokens import Tokens, collate, encode, parts
from harness.types import Likelihood, TrainingPair

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def likelihoods(
    model: Any, tokenizer: PreTrainedTokenizerBase, max_length: int, pairs: Sequence[TrainingPair]
) -> Iterator[tuple[int, Likelihood]]:
    """Yield each pair's position and likelihood, the longest first; a batch that does not fit memory is halved.

    ModelError names a pair that is longer than `max_length` tokens, does not fit memory alone, or whose likelihood is
    not finite.
    """
    encoded = encode(tokenizer, pairs)
    for example in encoded:
        if len(example.ids) > max_length:
            raise ModelError(
                f"Example {example.example_id!r}: prompt and completion have {len(example.ids)} tokens, and the model "
                f"takes {max_length}. Leave the example out, or every metric that reads likelihoods."
            )
    forward = Forward(model)
    for part in parts([replace(example, example_id=str(position)) for position, example in enumerate(encoded)]):
        for example, (nll, greedy, tokens) in zip(part, _token_losses(forward, part), strict=True):
            position = int(example.example_id)
            if not math.isfinite(nll):
                raise ModelError(
                    f"Example {encoded[position].example_id!r}: the log-likelihood of its completion is {nll}. "
                    "Set model.dtype=float32."
                )
            yield position, Likelihood(nll, int(tokens), int(greedy))


def _token_losses(forward: Forward, part: Sequence[Tokens]) -> list[list[float]]:
    import torch

    try:
        rows: list[list[float]] = forward.token_losses(collate(part, forward.device)).tolist()
        return rows
    except torch.OutOfMemoryError as error:
        if len(part) == 1:
            raise ModelError(
                f"Out of memory with a single example of {len(part[0].ids)} tokens: use a smaller dtype."
            ) from error
    torch.cuda.empty_cache()
    half = len(part) // 2
    return _token_losses(forward, part[:half]) + _token_losses(forward, part[half:])
