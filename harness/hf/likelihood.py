"""How likely a local model finds given completions, encoded as a fine-tune encodes what it learns."""

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
    model: Any, tokenizer: PreTrainedTokenizerBase, room: int, pairs: Sequence[TrainingPair]
) -> Iterator[tuple[int, Likelihood]]:
    """Yield each pair's position and likelihood, the longest first; a batch that does not fit memory is halved.

    ModelError names a pair that is longer than `room` tokens, does not fit memory alone, or whose likelihood is no
    number.
    """
    encoded = encode(tokenizer, pairs)
    for each in encoded:
        if len(each.ids) > room:
            raise ModelError(
                f"Example {each.example_id!r}: prompt and completion have {len(each.ids)} tokens, and the model takes "
                f"{room}. Leave the example out, or every metric that reads likelihoods."
            )
    forward = Forward(model)
    for part in parts([replace(each, example_id=str(position)) for position, each in enumerate(encoded)]):
        for each, (nats, greedy, tokens) in zip(part, _judged(forward, part), strict=True):
            position = int(each.example_id)
            if not math.isfinite(nats):
                raise ModelError(
                    f"Example {encoded[position].example_id!r}: the log-likelihood of its completion is {nats}. "
                    "Set model.dtype=float32."
                )
            yield position, Likelihood(nats, int(tokens), int(greedy))


def _judged(forward: Forward, part: Sequence[Tokens]) -> list[list[float]]:
    import torch

    try:
        rows: list[list[float]] = forward.token_losses(collate(part, forward.device)).tolist()
        return rows
    except torch.OutOfMemoryError as error:
        if len(part) == 1:
            raise ModelError(
                f"Out of memory with {len(part[0].ids)} tokens of prompt and completion alone: use a smaller dtype."
            ) from error
    torch.cuda.empty_cache()
    half = len(part) // 2
    return _judged(forward, part[:half]) + _judged(forward, part[half:])
