"""What a model thinks of given completions, with logits only where they are asked for.

A vocabulary of tens of thousands makes the last layer a large part of a small model; for prompt tokens and for
padding, it is never computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.hf.tokens import Batch

if TYPE_CHECKING:
    from torch import Tensor, nn


class Forward:
    """A model whose last layer is computed at chosen positions alone, whatever architecture it has.

    `mixed` multiplies in bfloat16 what is held in float32.
    """

    def __init__(self, model: Any, mixed: bool = False) -> None:
        self._model, self._mixed = model, mixed
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

    def token_losses(self, batch: Batch) -> Tensor:
        """Return of each example's completion its loss in nats, its tokens that are the likeliest, and its tokens.

        Float64 of shape (examples, 3); each token is predicted from the true ones before it.
        """
        import torch
        from torch.nn.functional import cross_entropy

        with torch.inference_mode():
            logits, targets = self.logits(batch, batch.completion), batch.targets[batch.completion]
            losses, right = cross_entropy(logits, targets, reduction="none"), logits.argmax(-1) == targets
            values = torch.stack([losses.double(), right.double(), torch.ones_like(losses, dtype=torch.double)], dim=-1)
            owner = batch.completion.nonzero()[:, 0]
            return values.new_zeros(len(batch.ids), 3).index_add_(0, owner, values)
