"""Batched decoding with the model's own forward pass, over a key-value cache from which finished rows are removed.

transformers' `generate` computes all rows of a batch until the last one ends. One-sentence answers have very different
lengths, so most of that work is on rows that ended long before.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.hf.encoding import Decoder
from harness.types import SamplingParams

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

WINDOW = 48
"""Tokens that are decoded at each step; after as many again the earlier ones are taken as they are."""
CONTEXT = 8
"""Tokens before the window that it is decoded with, as some tokenizers write a token by the one before it."""
LONGEST_CHARACTER = 4
"""Bytes of a character in UTF-8, each of which may be a token."""
UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""At the end of a text, a character of which only some bytes are generated."""


class DecodingBatch:
    """Rows that are decoded in step: `logits` predicts the next token, `advance` appends it.

    The common prefix of the prompts, such as a system message or few-shot examples, is computed once for all rows.
    """

    def __init__(self, model: PreTrainedModel, prompts: Sequence[list[int]]) -> None:
        import torch
        from transformers import DynamicCache

        self._model = model
        self._accepted = inspect.signature(model.forward).parameters
        self._cache = DynamicCache(config=model.config)
        width, shared = max(len(prompt) for prompt in prompts), self._prefix_length(prompts)
        pads = [width - len(prompt) for prompt in prompts]
        rows = [prompt[:shared] + [0] * pad + prompt[shared:] for pad, prompt in zip(pads, prompts, strict=True)]
        columns, starts = torch.arange(width), torch.tensor(pads)[:, None] + shared
        self._tokens = torch.tensor(rows, device=model.device)
        self._mask = ((columns < shared) | (columns >= starts)).long().to(model.device)
        self._positions = (self._mask.cumsum(-1) - 1).clamp(min=0)
        if shared:
            self._compute_prefix(shared)

    def _prefix_length(self, prompts: Sequence[list[int]]) -> int:
        """Return the length of the common prefix that can be computed once: 0 where padding after it is not supported.

        At least one token of each prompt stays outside.
        """
        from transformers.cache_utils import DynamicLayer

        plain = all(type(layer) is DynamicLayer for layer in self._cache.layers) and "position_ids" in self._accepted
        if not plain or len(prompts) == 1:
            return 0
        longest = min(len(prompt) for prompt in prompts) - 1
        first, last = min(prompts), max(prompts)  # in lexical order: the prefix of these two is common to all
        return next((i for i in range(longest) if first[i] != last[i]), longest)

    def _compute_prefix(self, shared: int) -> None:
        """Compute the first `shared` columns of the first row, and copy their keys and values to all rows."""
        import torch

        tokens, mask, positions = self._tokens, self._mask, self._positions
        self._tokens, self._mask, self._positions = (whole[:1, :shared] for whole in (tokens, mask, positions))
        self.logits()
        with torch.inference_mode():
            self._cache.batch_repeat_interleave(len(tokens))
        self._tokens, self._mask, self._positions = tokens[:, shared:], mask, positions[:, shared:]

    def logits(self) -> Tensor:
        """Return the next token's logits, float32 of shape (rows, vocabulary)."""
        import torch

        optional: dict[str, Any] = {"position_ids": self._positions, "logits_to_keep": 1}
        with torch.inference_mode():
            output: Any = self._model(
                input_ids=self._tokens,
                attention_mask=self._mask,
                past_key_values=self._cache,
                use_cache=True,
                **{name: value for name, value in optional.items() if name in self._accepted},
            )
            last: Tensor = output.logits[:, -1].float()
        return last

    def advance(self, tokens: Tensor, keep: Sequence[int]) -> None:
        """Append one of `tokens`, shape (rows,), to each row, and keep only the rows in `keep`."""
        import torch

        with torch.inference_mode():
            rows = torch.tensor(keep, device=tokens.device)
            if len(keep) < len(tokens):
                self._cache.batch_select_indices(rows)
            mask = self._mask[rows]
            self._tokens = tokens[rows, None]
            self._mask = torch.cat([mask, mask.new_ones(len(keep), 1)], dim=-1)
            self._positions = self._positions[rows, -1:] + 1


def choose(logits: Tensor, decoding: SamplingParams, uniform: Sequence[float]) -> Tensor:
    """Return the next token of each row, shape (rows,): the most probable one at temperature 0, else a sample.

    A row's number in [0, 1) selects among its tokens in descending order of probability by the inverse of their
    cumulative distribution, truncated to the smallest set that holds `top_p` (Holtzman et al. 2020,
    https://arxiv.org/abs/1904.09751). So the sample of one row does not depend on the others.
    """
    import torch

    if decoding.temperature == 0:
        return logits.argmax(-1)
    probabilities, order = torch.softmax(logits.double() / decoding.temperature, -1).sort(-1, descending=True)
    cumulative = probabilities.cumsum(-1)
    last = ((cumulative - probabilities) < decoding.top_p).sum(-1, keepdim=True) - 1
    drawn = torch.tensor(uniform, dtype=torch.double, device=logits.device)[:, None] * cumulative.gather(-1, last)
    rank = (cumulative <= drawn).sum(-1, keepdim=True).minimum(last)
    return order.gather(-1, rank).squeeze(-1)


class Detokenizer:
    """The text of tokens that come one by one, of which only the last ones are decoded at each step."""

    def __init__(self, decode: Decoder) -> None:
        self._decode = decode
        self._start = self._context = 0
        self._earlier = ""

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of all tokens so far; `ids` starts with the tokens of the call before."""
        text = self._earlier + self._decode(ids[self._start :])[self._context :]
        size = len(ids) - self._start
        if size >= WINDOW and (not text.endswith(UNFINISHED) or size >= 2 * WINDOW):
            self._shorten(ids, text, forced=size >= 2 * WINDOW)
        return text

    def _shorten(self, ids: Sequence[int], text: str, forced: bool) -> None:
        """Begin a new window with the last tokens, where that is not inside a character or else `forced`."""
        for n_tokens in range(CONTEXT, CONTEXT + LONGEST_CHARACTER):
            context = self._decode(ids[len(ids) - n_tokens :])
            if forced or text.endswith(context):
                self._earlier, self._start, self._context = text, len(ids) - n_tokens, len(context)
                return
