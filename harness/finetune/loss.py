"""Training examples in batches, the loss that a batch is trained on, and the loss on held-out examples.

The order of the batches follows from the seed alone, so that a resumed fine-tune sees the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import FineTuneError
from harness.hf.encoding import TextEncoder
from harness.hf.forward import Forward
from harness.hf.tokens import TokenBatch, TokenLimits, Tokens, parts
from harness.types import FloatArray, TrainingPair

WINDOW = 16
"""Batches within which examples are sorted by length: enough to leave little padding, few enough to mix."""


def encode(encoder: TextEncoder, pairs: Sequence[TrainingPair], limits: TokenLimits) -> list[Tokens]:
    """Return the pairs as tokens; see `harness.hf.encoding.TextEncoder.pairs`.

    FineTuneError names an example that the model cannot read: truncated, it would teach the model to break off.
    """
    encoded = encoder.pairs(pairs)
    for example in encoded:
        if misfit := limits.misfit(example):
            raise FineTuneError(f"Example {example.example_id!r}: {misfit}. Shorten it or leave it out.")
    return encoded


def epoch(examples: Sequence[Tokens], batch_size: int, seed: Sequence[int]) -> list[list[Tokens]]:
    """Return one epoch's batches: shuffled, grouped by length within windows, and shuffled again.

    `seed` is the run's seed and the epoch's number.
    """
    rng = np.random.default_rng(seed)
    order = [examples[i] for i in rng.permutation(len(examples))]
    window = batch_size * WINDOW
    grouped: list[Tokens] = []
    for start in range(0, len(order), window):
        grouped += sorted(order[start : start + window], key=lambda example: len(example.ids))
    batches = [grouped[start : start + batch_size] for start in range(0, len(grouped), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


@dataclass(frozen=True, slots=True)
class ValidationLoss:
    """Loss and accuracy on held-out completions, each token predicted from the true ones before it.

    `loss` is in nats per completion token, `se` its standard error over examples, whose tokens are not independent.
    The accuracies are those of OpenAI's first fine-tuning API: the share of completion tokens, and of whole
    completions, that argmax predicts. `losses`, shape (n,), are each example's nats, over its `tokens`.
    """

    loss: float
    se: float | None
    token_accuracy: float
    sequence_accuracy: float
    losses: FloatArray
    tokens: FloatArray

    def change_se(self, before: Sequence[float]) -> float | None:
        """Return the standard error of the loss's change since each example's `losses` were `before`.

        It is of paired differences, in which the difficulty of an example cancels.
        """
        return _standard_error(self.losses - np.asarray(before), self.tokens)


class LossScorer:
    """Computes a model's loss on tokenized pairs, with gradients for training or without for validation."""

    def __init__(self, model: Any, dtype: str) -> None:
        self._forward = Forward(model, mixed=dtype == "bfloat16")
        self.device = self._forward.device

    def train(self, batch: TokenBatch, prompt_loss_weight: float, total_weight: float) -> float:
        """Add a batch's gradient and return its summed loss over completion tokens, in nats.

        The gradient is of the weighted mean over tokens, with weight 1 for a completion's and `prompt_loss_weight` for
        a prompt's. `total_weight` is the sum of the weights over all parts of a batch.
        """
        from torch.nn.functional import cross_entropy

        chosen = batch.completion | batch.prompt if prompt_loss_weight else batch.completion
        losses = cross_entropy(self._forward.logits(batch, chosen), batch.targets[chosen], reduction="none")
        completion = batch.completion[chosen]
        on_completion = losses[completion].sum()
        weighted = on_completion + prompt_loss_weight * losses[~completion].sum()
        (weighted / total_weight).backward()  # type: ignore[no-untyped-call]
        return float(on_completion.detach())

    def validate(self, examples: Sequence[Tokens]) -> ValidationLoss:
        """Return loss and accuracies over all of `examples`, which are not empty."""
        rows: list[list[float]] = []
        for part in parts(examples):
            rows += self._forward.losses(part)
        losses, correct, tokens = np.array(rows).T
        return ValidationLoss(
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
