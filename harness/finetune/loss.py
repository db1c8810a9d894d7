"""What a batch costs to train on, and what held-out examples cost.

Training pairs that fit the model, and their batches in an order that the seed alone decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import FineTuneError
from harness.hf import tokens
from harness.hf.forward import Forward
from harness.hf.tokens import Batch, Tokens, collate, parts
from harness.types import FloatArray, TrainingPair

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Validation:
    """How a model does on completions that it has not seen, each token predicted from the true ones before it.

    `loss` is in nats per completion token, `se` its standard error over examples, whose tokens are not independent.
    The accuracies are those of OpenAI's first fine-tuning API: the share of completion tokens, and of whole
    completions, that the likeliest tokens match. `losses`, shape (n,), are each example's nats, of its `tokens`.
    """

    loss: float
    se: float | None
    token_accuracy: float
    sequence_accuracy: float
    losses: FloatArray
    tokens: FloatArray

    def change_se(self, before: Sequence[float]) -> float | None:
        """Return the standard error of the loss's change since each example's `losses` were those `before`.

        It is of paired differences: what is hard in an example is so both times, and cancels.
        """
        return _standard_error(self.losses - np.asarray(before), self.tokens)


class Scorer:
    """A model's loss on training pairs, to learn from and to validate on."""

    def __init__(self, model: Any, dtype: str) -> None:
        self._forward = Forward(model, mixed=dtype == "bfloat16")
        self.device = self._forward.device

    def train(self, batch: Batch, prompt_loss_weight: float, total_weight: float) -> float:
        """Add a batch's gradient and return its summed loss over completion tokens, in nats.

        The loss is the weighted mean over tokens: 1 for a completion's, `prompt_loss_weight` for a prompt's. The
        weights add up to `total_weight` over all the parts of a batch.
        """
        from torch.nn.functional import cross_entropy

        chosen = batch.completion | batch.prompt if prompt_loss_weight else batch.completion
        losses = cross_entropy(self._forward.logits(batch, chosen), batch.targets[chosen], reduction="none")
        completion = batch.completion[chosen]
        on_completion = losses[completion].sum()
        weighted = on_completion + prompt_loss_weight * losses[~completion].sum()
        (weighted / total_weight).backward()  # type: ignore[no-untyped-call]
        return float(on_completion.detach())

    def validate(self, examples: Sequence[Tokens]) -> Validation:
        """Return how the model does on all of `examples`, which are not empty."""
        rows: list[list[float]] = []
        for part in parts(examples):
            rows += self._forward.token_losses(collate(part, self.device)).tolist()
        losses, correct, tokens = np.array(rows).T
        return Validation(
            loss=float(losses.sum() / tokens.sum()),
            se=_standard_error(losses, tokens),
            token_accuracy=float(correct.sum() / tokens.sum()),
            sequence_accuracy=float((correct == tokens).mean()),
            losses=losses,
            tokens=tokens,
        )


def _standard_error(sums: FloatArray, tokens: FloatArray) -> float | None:
    """Return the standard error over examples of sums per token, both of shape (n,); None for a single example."""
    n = len(sums)
    if n < 2:
        return None
    mean = sums.sum() / tokens.sum()
    return float(np.sqrt(np.square(sums - mean * tokens).sum() * n / (n - 1)) / tokens.sum())


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
