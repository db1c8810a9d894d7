"""Prompts and their target completions as tokens, and in batches for one forward pass.

Fine-tuning and likelihoods share this encoding, so that both are over the same tokens. Examples of similar length share
a batch, so that little padding is computed. Padding follows the tokens, where a causal model never attends to it: no
attention mask is needed, and nothing leaks between examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import ModelError
from harness.hf import loading
from harness.types import TrainingPair

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

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


def encode(tokenizer: PreTrainedTokenizerBase, pairs: Sequence[TrainingPair]) -> list[Tokens]:
    """Return the pairs as tokens: the prompt as generation renders it, the completion, the end-of-text token.

    After plain text the completion starts with a space, which a prompt should not end with.
    """
    end = tokenizer.eos_token_id
    if end is None:
        raise ModelError("This tokenizer has no end-of-text token, so no completion could end. Set its eos_token.")
    encoded = []
    for pair in pairs:
        prompt = loading.encode_prompt(tokenizer, pair.prompt)
        text = pair.completion if pair.prompt.messages else f" {pair.completion}"
        ids = (*prompt, *tokenizer(text, add_special_tokens=False)["input_ids"], end)
        encoded.append(Tokens(pair.prompt.example_id, ids, len(prompt)))
    return encoded


def parts(examples: Sequence[Tokens]) -> Iterator[list[Tokens]]:
    """Yield the examples, longest first, in parts that fit one forward pass."""
    part: list[Tokens] = []
    for example in sorted(examples, key=lambda example: -len(example.ids)):
        if part and (len(part) + 1) * len(part[0].ids) > FORWARD_TOKENS:
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
