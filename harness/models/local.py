"""Local weights, run by transformers: the harness's reference backend.

Greedy text in float32 equals that of transformers' `generate`, row for row, and depends on no other prompt. Of a
model's generation settings only its end-of-text tokens are used; temperature and the rest are recorded with the run.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.config import LocalModelConfig
from harness.errors import ConfigError
from harness.hf import likelihood, loading, pruning, weights
from harness.hf.decoding import DecodingBatch, choose
from harness.store.digest import digest
from harness.tasks.stopping import end_of, has_rule, tidy
from harness.types import Completion, FinishReason, Likelihood, ModelIdentity, Prompt, SamplingParams, TrainingPair
from harness.wording import counted

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(slots=True)
class _Row:
    """One prompt in progress: its tokens, the most new tokens, and the new tokens so far."""

    example_id: str
    tokens: list[int]
    limit: int
    new: list[int] = field(default_factory=list)

    def uniform(self, seed: int) -> float:
        """Draw the next token's number in [0, 1) from the seed, the prompt and the position alone."""
        return float(np.random.default_rng([seed, int(digest(self.tokens), 16), len(self.new)]).random())


class LocalModel:
    """A causal language model of transformers, with an optional adapter."""

    def __init__(self, config: LocalModelConfig) -> None:
        if config.batch_size < 1:
            raise ConfigError(f"model.batch_size: expected 1 or more, got {config.batch_size}.")
        self._config = config

    @cached_property
    def identity(self) -> ModelIdentity:
        """Identify the model by the digests of its files, without loading them."""
        digests = weights.identify(self._located.folder, self._adapter)
        return ModelIdentity(
            backend="local",
            base=self._config.path,
            revision=self._located.revision,
            weights=digests.weights,
            adapter=digests.adapter,
            tokenizer=digests.tokenizer,
            chat_template=digests.chat_template,
            dtype=loading.resolve_dtype(self._config.dtype, self._config.device),
        )

    @cached_property
    def parameters(self) -> int:
        """Count the base model's weights; an adapter is merged into them."""
        return weights.count_parameters(self._located.folder)

    def generate(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> Iterator[Completion]:
        """Yield completions as they finish, the longest prompts first; a batch that does not fit memory is halved.

        Text is truncated where `decoding` ends it, without outer white space. Tokens include the end-of-text token and
        those that were generated beyond the end to detect it; seconds run from the start of the batch.
        """
        return self.generate_watched(prompts, decoding, {})

    def generate_watched(
        self, prompts: Sequence[Prompt], decoding: SamplingParams, watchers: Mapping[str, Callable[[str], None]]
    ) -> Iterator[Completion]:
        """Generate, and call each example's watcher with its raw text so far at every token; see `generate`."""
        import torch

        rows = self._rows(prompts, decoding)
        for row in rows:
            if row.limit < 1:
                tokens = counted(len(row.tokens), "token")
                yield _failure(row, f"the prompt has {tokens}, the model takes 1 to {self._max_length - 1}")
        waiting = sorted((row for row in rows if row.limit > 0), key=lambda row: -len(row.tokens))
        size = self._config.batch_size
        while waiting:
            batch, waiting = waiting[:size], waiting[size:]
            with contextlib.suppress(torch.OutOfMemoryError):  # the failed batch's memory is freed on leaving it
                yield from self._decode(batch, decoding, watchers)
                continue
            torch.cuda.empty_cache()
            if len(batch) == 1:
                yield _failure(batch[0], "out of memory with this prompt alone: use a smaller dtype or max_tokens")
                continue
            size = (len(batch) + 1) // 2
            waiting = [_Row(row.example_id, row.tokens, row.limit) for row in batch] + waiting

    def likelihoods(self, pairs: Sequence[TrainingPair]) -> Iterator[tuple[int, Likelihood]]:
        """Yield each pair's position and likelihood, the longest first; ModelError names one that does not fit."""
        return likelihood.likelihoods(self._model, self._tokenizer, self._max_length, pairs)

    @cached_property
    def _located(self) -> weights.Located:
        return pruning.locate(self._config)

    @cached_property
    def _adapter(self) -> Path | None:
        return Path(self._config.adapter).expanduser() if self._config.adapter else None

    @cached_property
    def _tokenizer(self) -> PreTrainedTokenizerBase:
        return loading.load_tokenizer(self._located.folder)

    @cached_property
    def _model(self) -> PreTrainedModel:
        return loading.load_model(self._located.folder, self._config.dtype, self._config.device, self._adapter)

    @cached_property
    def _max_length(self) -> int:
        """The most tokens that prompt and completion can have together."""
        settings = self._model.config.get_text_config()
        return int(getattr(settings, "max_position_embeddings", sys.maxsize))

    @cached_property
    def _ends(self) -> set[int]:
        """The end-of-text tokens: the model's, and the tokenizer's, which fine-tunes are trained on."""
        own: Any = self._model.generation_config.eos_token_id
        return {*(own if isinstance(own, list) else [own]), self._tokenizer.eos_token_id} - {None}

    def _rows(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> list[_Row]:
        rows = []
        for prompt in prompts:
            tokens = loading.encode_prompt(self._tokenizer, prompt)
            limit = min(decoding.max_tokens, self._max_length - len(tokens)) if tokens else 0
            rows.append(_Row(prompt.example_id, tokens, limit))
        return rows

    def _decode(
        self, rows: list[_Row], decoding: SamplingParams, watchers: Mapping[str, Callable[[str], None]]
    ) -> Iterator[Completion]:
        """Decode one batch; each row is removed from `rows` before its completion is yielded."""
        start = time.perf_counter()
        batch = DecodingBatch(self._model, [row.tokens for row in rows])
        while rows:
            uniform = [row.uniform(decoding.seed) for row in rows] if decoding.temperature else []
            chosen = choose(batch.logits(), decoding, uniform)
            for row, token in zip(rows, chosen.tolist(), strict=True):
                row.new.append(token)
            seconds = time.perf_counter() - start
            finished = [self._finished(row, decoding, seconds, watchers.get(row.example_id)) for row in rows]
            keep = [i for i, completion in enumerate(finished) if completion is None]
            rows[:] = [rows[i] for i in keep]
            yield from (completion for completion in finished if completion)
            if rows:
                batch.advance(chosen, keep)

    def _finished(
        self, row: _Row, decoding: SamplingParams, seconds: float, watch: Callable[[str], None] | None
    ) -> Completion | None:
        ended, full = row.new[-1] in self._ends, len(row.new) == row.limit
        if not (ended or full or watch or has_rule(decoding)):
            return None
        text = str(self._tokenizer.decode(row.new[:-1] if ended else row.new, skip_special_tokens=True))
        end = end_of(text, decoding)
        if end is None and not (ended or full):
            if watch:
                watch(text)
            return None
        return Completion(
            row.example_id,
            tidy(text, end),
            FinishReason.STOP if ended or end is not None else FinishReason.LENGTH,
            prompt_tokens=len(row.tokens),
            completion_tokens=len(row.new),
            seconds=seconds,
        )


def _failure(row: _Row, error: str) -> Completion:
    return Completion(row.example_id, None, FinishReason.ERROR, error=error, prompt_tokens=len(row.tokens))
