"""Training pairs that fit the model, and their batches in an order that the seed alone decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.hf import tokens
from harness.errors import FineTuneError
from harness.hf.tokens import Tokens
from harness.types import TrainingPair

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WINDOW = 16
"""Examples are sorted by length within so many batches: enough to leave little padding, few enough to mix."""


def encode(tokenizer: PreTrainedTokenizerBase, pairs: Sequence[TrainingPair], room: int) -> list[Tokens]:
    """Return the pairs as tokens; see `harness.hf.tokens.encode`.

    FineTuneError names an example that is longer than `room` tokens: cutting it would teach the model to break off.
    """
    encoded = tokens.encode(tokenizer, pairs)
    for example in encoded:
        if len(example.ids) > room:
            raise FineTuneError(
                f"Example {example.example_id!r}: prompt and completion have {len(example.ids)} tokens, and the model "
                f"takes {room}. Shorten it or leave it out."
            )
    return encoded


def epoch(examples: Sequence[Tokens], batch_size: int, seed: Sequence[int]) -> list[list[Tokens]]:
    """Return one epoch's batches: shuffled, grouped by length within windows, and shuffled again.

    `seed` is the run's seed and the epoch's number, so that a resumed run meets the same order.
    """
    rng = np.random.default_rng(seed)
    order = [examples[i] for i in rng.permutation(len(examples))]
    window = batch_size * WINDOW
    grouped: list[Tokens] = []
    for start in range(0, len(order), window):
        grouped += sorted(order[start : start + window], key=lambda example: len(example.ids))
    batches = [grouped[start : start + batch_size] for start in range(0, len(grouped), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]
