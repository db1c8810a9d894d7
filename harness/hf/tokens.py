"""Prompts and their target completions as tokens, in batches for one forward pass.

Examples of similar length share a batch, so that little padding is computed. Padding follows the tokens, where a causal
model never attends to it: no attention mask is needed, and nothing leaks between examples.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

FORWARD_TOKENS = 2048
"""The most tokens of one forward pass: a larger batch is split into parts, to save memory."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one training pair, of which the first `n_prompt` are the prompt."""

    example_id: str
    ids: tuple[int, ...]
    n_prompt: int


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Examples that go through the model together; each tensor has shape (examples, longest).

    `targets` holds each position's next token. The mask `completion` is true where that token is in the completion,
    `prompt` where it is in the prompt; padding is in neither.
    """

    ids: Tensor
    targets: Tensor
    completion: Tensor
    prompt: Tensor


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """What a model can read: the most tokens of prompt and completion together, and how many tokens it knows."""

    length: int
    vocabulary: int = sys.maxsize

    @classmethod
    def of(cls, model: Any) -> TokenLimits:
        """Return the limits of a loaded model."""
        length = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        return cls(length or sys.maxsize, len(model.get_input_embeddings().weight))

    def misfit(self, example: Tokens) -> str | None:
        """Say what of an example the model cannot read; None where it can."""
        if len(example.ids) > self.length:
            return f"prompt and completion have {len(example.ids)} tokens, and the model takes {self.length}"
        return self.unknown(example.ids)

    def unknown(self, ids: Sequence[int]) -> str | None:
        """Say which token is beyond the model's embedding, as where a tokenizer was extended and the model was not."""
        highest = max(ids, default=0)
        if highest < self.vocabulary:
            return None
        return f"it has the token {highest}, and the model knows the tokens 0 to {self.vocabulary - 1}"


def parts(examples: Sequence[Tokens], most: int | None = None) -> Iterator[list[Tokens]]:
    """Yield the examples, longest first, in parts of at most `most` tokens with their padding."""
    most = most or FORWARD_TOKENS
    part: list[Tokens] = []
    for example in sorted(examples, key=lambda example: -len(example.ids)):
        if part and (len(part) + 1) * len(part[0].ids) > most:
            yield part
            part = []
        part.append(example)
    if part:
        yield part


def collate(examples: Sequence[Tokens], device: str) -> TokenBatch:
    """Return the examples as one batch on `device`, right-padded."""
    import torch

    shape = len(examples), max(len(example.ids) for example in examples)
    ids, targets = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    completion, prompt = np.zeros(shape, bool), np.zeros(shape, bool)
    for row, example in enumerate(examples):
        n = len(example.ids)
        ids[row, :n] = example.ids
        targets[row, : n - 1] = example.ids[1:]
        completion[row, max(example.n_prompt - 1, 0) : n - 1] = True
        prompt[row, : max(example.n_prompt - 1, 0)] = True
    tensors = (torch.from_numpy(array).to(device) for array in (ids, targets, completion, prompt))
    return TokenBatch(*tensors)
