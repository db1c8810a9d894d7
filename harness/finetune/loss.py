"""What a batch costs, with logits only where there is loss.

A vocabulary of tens of thousands makes the last layer a large part of a small model; for prompt tokens without
weight, and for padding, it is never computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.finetune.batches import Batch, Tokens, collate, parts

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Validation:
    """How a model does on completions that it has not seen, each token predicted from the true ones before it.

    `loss` is in nats per completion token, `se` its standard error over examples, whose tokens are not independent.
    The accuracies are those of OpenAI's first fine-tuning API: the share of completion tokens, and of whole
    completions, that the likeliest tokens match.
    """

    loss: float
    se: float | None
    token_accuracy: float
    sequence_accuracy: float


class Scorer:
    """A model whose last layer is computed at chosen positions alone, whatever architecture it has."""

    def __init__(self, model: Any, dtype: str) -> None:
        self._model, self._mixed = model, dtype == "bfloat16"
        self._head: nn.Module = model.get_output_embeddings()
        self.device = str(next(model.parameters()).device)

    def logits(self, batch: Batch, chosen: Tensor) -> Tensor:
        """Return float32 logits at the positions that the mask `chosen` holds, shape (positions, vocabulary)."""
        import torch

        hook = self._head.register_forward_pre_hook(lambda _, inputs: (inputs[0][chosen],))
        try:
            with torch.autocast(batch.ids.device.type, torch.bfloat16, enabled=self._mixed):
                logits: Tensor = self._model(input_ids=batch.ids, use_cache=False).logits
        finally:
            hook.remove()
        return logits.float()

    def train(self, batch: Batch, prompt_loss_weight: float, total_weight: float) -> float:
        """Add a batch's gradient and return its summed loss over completion tokens, in nats.

        The loss is the weighted mean over tokens: 1 for a completion's, `prompt_loss_weight` for a prompt's. The
        weights add up to `total_weight` over all the parts of a batch.
        """
        from torch.nn.functional import cross_entropy

        chosen = batch.completion | batch.prompt if prompt_loss_weight else batch.completion
        losses = cross_entropy(self.logits(batch, chosen), batch.targets[chosen], reduction="none")
        completion = batch.completion[chosen]
        on_completion = losses[completion].sum()
        weighted = on_completion + prompt_loss_weight * losses[~completion].sum()
        (weighted / total_weight).backward()  # type: ignore[no-untyped-call]
        return float(on_completion.detach())

    def validate(self, examples: Sequence[Tokens]) -> Validation:
        """Return how the model does on all of `examples`, which are not empty."""
        import torch

        rows: list[list[float]] = []
        with torch.inference_mode():
            for part in parts(examples):
                rows += self._per_example(collate(part, self.device)).tolist()
        losses, correct, tokens = np.array(rows).T
        loss = losses.sum() / tokens.sum()
        n = len(rows)
        spread = np.square(losses - loss * tokens).sum() * n / (n - 1) if n > 1 else None
        return Validation(
            loss=float(loss),
            se=None if spread is None else float(np.sqrt(spread) / tokens.sum()),
            token_accuracy=float(correct.sum() / tokens.sum()),
            sequence_accuracy=float((correct == tokens).mean()),
        )

    def _per_example(self, batch: Batch) -> Tensor:
        """Return each example's summed loss, right tokens and tokens, shape (examples, 3)."""
        import torch
        from torch.nn.functional import cross_entropy

        logits, targets = self.logits(batch, batch.completion), batch.targets[batch.completion]
        values = torch.stack(
            [
                cross_entropy(logits, targets, reduction="none"),
                (logits.argmax(-1) == targets).float(),
                torch.ones_like(targets, dtype=torch.float),
            ],
            dim=-1,
        )
        owner = batch.completion.nonzero()[:, 0]
        return torch.zeros(len(batch.ids), 3, device=values.device).index_add_(0, owner, values).double()
