"""Likelihoods of given completions under a local model, with the encoding that fine-tunes use for training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from harness.errors import ModelError
from harness.hf.encoding import TextEncoder
from harness.hf.forward import Forward
from harness.hf.tokens import TokenLimits, parts
from harness.types import Likelihood, TrainingPair


def likelihoods(model: Any, encoder: TextEncoder, pairs: Sequence[TrainingPair]) -> Iterator[tuple[int, Likelihood]]:
    """Yield each pair's position and likelihood, the longest first; a batch that does not fit memory is halved.

    ModelError names a pair that the model cannot read or whose likelihood is not finite, and says when one does not fit
    memory alone.
    """
    encoded, limits = encoder.pairs(pairs), TokenLimits.of(model)
    for example in encoded:
        if misfit := limits.misfit(example):
            raise ModelError(
                f"Example {example.example_id!r}: {misfit}. Leave the example out, or every metric that reads "
                "likelihoods."
            )
    forward = Forward(model)
    for part in parts([replace(example, example_id=str(position)) for position, example in enumerate(encoded)]):
        for example, (nll, greedy, tokens) in zip(part, forward.losses(part), strict=True):
            position = int(example.example_id)
            if not math.isfinite(nll):
                raise ModelError(
                    f"Example {encoded[position].example_id!r}: the log-likelihood of its completion is {nll}. "
                    "Set model.dtype=float32."
                )
            yield position, Likelihood(nll, int(tokens), int(greedy))
