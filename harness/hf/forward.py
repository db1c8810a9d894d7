"""Forward passes over given completions, with logits computed only at the positions that are needed.

With a vocabulary of tens of thousands, the last layer is a large part of a small model's work; it is not computed for
prompt tokens and padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.hf import memory
from harness.hf.tokens import TokenBatch, Tokens, collate

if TYPE_CHECKING:
    from torch import Tensor, nn


class Forward:
    """A model of any architecture whose last layer is computed at chosen positions only.

    With `mixed`, float32 weights are multiplied in bfloat16.
    """

    def __init__(self, model: Any, mixed: bool = False) -> None:
        self._model, self._mixed = model, mixed
        self._head: nn.Module = model.get_output_embeddings()
        self.device = str(next(model.parameters()).device)

    def logits(self, batch: TokenBatch, chosen: Tensor) -> Tensor:
        """Return float32 logits at the positions of the mask `chosen`, shape (positions, vocabulary)."""
        import torch

        hook = self._head.register_forward_pre_hook(lambda _, inputs: (inputs[0][chosen],))
        try:
            with torch.autocast(batch.ids.device.type, torch.bfloat16, enabled=self._mixed):
                logits: Tensor = self._model(input_ids=batch.ids, use_cache=False).logits
        finally:
            hook.remove()
        return logits.float()

    def token_losses(self, batch: TokenBatch) -> Tensor:
        """Return, for each example's completion, its loss in nats, its correctly predicted tokens, and its tokens.

        Float64 of shape (examples, 3); each token is predicted from the true ones before it, by argmax.
        """
        import torch
        from torch.nn.functional import cross_entropy

        with torch.inference_mode():
            logits, targets = self.logits(batch, batch.completion), batch.targets[batch.completion]
            losses, correct = cross_entropy(logits, targets, reduction="none"), logits.argmax(-1) == targets
            counts = torch.ones_like(losses, dtype=torch.double)
            values = torch.stack([losses.double(), correct.double(), counts], dim=-1)
            owner = batch.completion.nonzero()[:, 0]
            return values.new_zeros(len(batch.ids), 3).index_add_(0, owner, values)

    def losses(self, part: Sequence[Tokens]) -> list[list[float]]:
        """Return `token_losses` of each example; a part that does not fit memory is halved.

        ModelError says that a single example does not fit.
        """

        def compute(examples: Sequence[Tokens]) -> list[list[float]]:
            rows: list[list[float]] = self.token_losses(collate(examples, self.device)).tolist()
            return rows

        return memory.halving(compute, part, f"a single example of up to {len(part[0].ids)} tokens")
