"""Local weights, run by transformers: the harness's reference backend.

Greedy text in float32 equals that of transformers' `generate`, row for row, and depends on no other prompt. Of a
model's generation settings only its end-of-text tokens are used; temperature and the rest are recorded with the run.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.config import LocalModelConfig
from harness.errors import ConfigError
from harness.hf import integrity, likelihood, loading, memory, pruning, weights
from harness.hf.decoding import UNFINISHED, DecodingBatch, Detokenizer, choose
from harness.hf.encoding import Decoder, EncodedPrompt, TextEncoder
from harness.hf.tokens import TokenLimits
from harness.store import memo
from harness.store.digest import digest
from harness.tasks.growing import StopWatch, ends
from harness.tasks.stopping import REASONING_TAGS, has_rule, settle
from harness.types import (
    Completion,
    EncodedText,
    FinishReason,
    Likelihood,
    ModelIdentity,
    Prompt,
    SamplingParams,
    TrainingPair,
)
from harness.wording import counted

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Watcher = Callable[[str], None]
"""Called with the text so far."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What holds for all rows of one call: the sampling parameters, the ends of a text, and who reads along."""

    decoding: SamplingParams
    ends: frozenset[int]
    decode: Decoder
    watchers: Mapping[str, Watcher]
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Row:
    """One prompt in progress: its tokens, the most new tokens, and the new tokens so far."""

    prompt: Prompt
    tokens: list[int]
    limit: int
    new: list[int] = field(default_factory=list)
    digest: int | None = None
    detokenizer: Detokenizer | None = None
    stop_watch: StopWatch | None = None

    def uniform(self, seed: int) -> float:
        """Draw the next token's number in [0, 1) from the seed, the prompt, its sample and the position alone."""
        if self.digest is None:
            self.digest = int(digest(self.tokens), 16)
        sample = [self.prompt.sample] if self.prompt.sample else []
        return float(np.random.default_rng([seed, self.digest, len(self.new), *sample]).random())

    def text_so_far(self, job: _Job) -> str:
        """Return the text of the new tokens, of which only the last ones are decoded."""
        self.detokenizer = self.detokenizer or Detokenizer(job.decode)
        return self.detokenizer.text(self.new)

    def stopped(self, text: str, job: _Job) -> bool:
        """Return whether a stop rule ends the text so far."""
        self.stop_watch = self.stop_watch or StopWatch(job.decoding, self.prompt)
        if not self.stop_watch.ends(text.rstrip(UNFINISHED)):
            return False
        return ends(job.decode(self.new), job.decoding, self.prompt)  # the text so far may differ in white space


class LocalModel:
    """A causal language model of transformers, with an optional adapter."""

    def __init__(self, config: LocalModelConfig) -> None:
        if config.batch_size < 1:
            raise ConfigError(f"model.batch_size: expected 1 or more, got {config.batch_size}.")
        self._config = config

    @cached_property
    def identity(self) -> ModelIdentity:
        """Identify the model by the digests of its files, without loading them."""
        digests = self._digests
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
        self, prompts: Sequence[Prompt], decoding: SamplingParams, watchers: Mapping[str, Watcher]
    ) -> Iterator[Completion]:
        """Generate, and call each example's watcher with its raw text so far at every token; see `generate`."""
        rows, failures = self._rows(prompts, decoding)
        yield from failures
        if not rows:
            return
        job = _Job(
            decoding, frozenset(self._ends), self._decode_text(decoding.answer_after or ""), watchers, self._notes
        )
        waiting = deque(sorted(rows, key=lambda row: -len(row.tokens)))
        size = self._config.batch_size
        while waiting:
            batch = [waiting.popleft() for _ in range(min(size, len(waiting)))]
            try:
                with memory.limited_memory():
                    yield from self._decode(batch, job)
            except memory.OutOfMemory:
                size = max((len(batch) + 1) // 2, 1)
            else:
                continue
            memory.release()  # the failed batch's own memory is freed on leaving the handler
            if len(batch) == 1:
                yield _failure(
                    batch[0].prompt,
                    len(batch[0].tokens),
                    "out of memory with this prompt alone: use a smaller dtype or max_tokens",
                )
                continue
            waiting.extendleft(_Row(row.prompt, row.tokens, row.limit) for row in reversed(batch))

    def likelihoods(self, pairs: Sequence[TrainingPair]) -> Iterator[tuple[int, Likelihood]]:
        """Yield each pair's position and likelihood, the longest first; ModelError names one that does not fit."""
        return likelihood.likelihoods(self._model, self._encoder, pairs)

    def rendered(self, prompts: Sequence[Prompt]) -> list[EncodedText]:
        """Return each prompt as the text that the model gets, and its tokens; no weights are loaded.

        A text that is far too long for the model has at least that many tokens.
        """

        def compute() -> list[tuple[str, int]]:
            return [(prompt.text, len(prompt.ids)) for prompt in self._encoder.prompts(prompts, self._max_length)]

        return [EncodedText(text, n, text) for text, n in self._remembered("rendered", prompts, compute)]

    def encoded(self, completions: Sequence[str]) -> list[EncodedText]:
        """Return each completion with the tokens that the model has to generate for it, and what they decode to."""

        def compute() -> list[tuple[int, str]]:
            encoded = self._encoder.completions(completions, self._decode_text())
            return [(text.tokens, text.decoded) for text in encoded]

        known = self._remembered("encoded", completions, compute)
        return [EncodedText(text, n, decoded) for text, (n, decoded) in zip(completions, known, strict=True)]

    def _remembered(self, kind: str, texts: Sequence[Any], compute: Callable[[], list[Any]]) -> list[Any]:
        """Return what the tokenizer makes of texts, without loading it where that is known from an earlier run.

        What a template writes that is not always the same, such as the date, is not kept.
        """
        inputs = [kind, self.identity, self._config.template_options, loading.text_versions(), texts]
        known: list[Any] | None = memo.recall(inputs)
        if known is None:
            known = compute()
            if self._encoder.is_constant:
                memo.remember(inputs, known)
        return known

    @cached_property
    def _notes(self) -> tuple[str, ...]:
        """Say where an adapter names another base model, and where the tokenizer has tokens that the model lacks."""
        n_tokens = max(self._tokenizer.get_vocab().values(), default=-1) + 1
        return integrity.model_notices(self._config.path, self._located.folder, self._adapter, n_tokens)

    @cached_property
    def _located(self) -> weights.Located:
        return pruning.locate(self._config)

    @cached_property
    def _adapter(self) -> Path | None:
        return Path(self._config.adapter).expanduser() if self._config.adapter else None

    @cached_property
    def _digests(self) -> weights.Digests:
        return weights.identify(self._located.folder, self._adapter)

    @cached_property
    def _tokenizer(self) -> PreTrainedTokenizerBase:
        return loading.load_tokenizer(self._located.folder, self._adapter)

    @cached_property
    def _encoder(self) -> TextEncoder:
        return TextEncoder(self._tokenizer, self._config.template_options)

    @cached_property
    def _model(self) -> PreTrainedModel:
        model = loading.load_model(self._located.folder, self._config.dtype, self._config.device, self._adapter)
        if "_digests" in vars(self):
            weights.refuse_change(self._digests)
        return model

    @cached_property
    def _max_length(self) -> int:
        """The most tokens that prompt and completion can have together."""
        return loading.context_length(self._located.folder)

    @cached_property
    def _ends(self) -> set[int]:
        """The end-of-text tokens: the model's, and the tokenizer's, which fine-tunes are trained on."""
        own = self._model.generation_config.eos_token_id
        return {*(own if isinstance(own, list) else [own]), self._tokenizer.eos_token_id} - {None}

    def _decode_text(self, marker: str = "") -> Decoder:
        """Return the decoder of generated text, which keeps what separates the reasoning, special tokens or not."""
        return self._encoder.decoder([*REASONING_TAGS, *REASONING_TAGS.values(), marker])

    def _rows(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> tuple[list[_Row], list[Completion]]:
        """Return the prompts that can be completed, with their tokens, and the failures of the others."""
        rows, failures = [], []
        limits: TokenLimits | None = None
        for prompt, encoded in zip(prompts, self._encoder.prompts(prompts, self._max_length), strict=True):
            if flaw := self._too_long(encoded):
                failures.append(_failure(prompt, len(encoded.ids), flaw))
                continue
            limits = limits or TokenLimits.of(self._model)
            if unknown := limits.unknown(encoded.ids):
                failures.append(_failure(prompt, len(encoded.ids), f"the prompt cannot be read: {unknown}"))
                continue
            limit = min(decoding.max_tokens, self._max_length - len(encoded.ids))
            rows.append(_Row(replace(prompt, rendered=encoded.text), encoded.ids, limit))
        return rows, failures

    def _too_long(self, encoded: EncodedPrompt) -> str | None:
        """Say how long a prompt is that leaves no room for an answer, or has no token; None where it fits."""
        n, most = len(encoded.ids), self._max_length - 1
        if 1 <= n <= most and encoded.is_whole:
            return None
        size = counted(n, "token") if encoded.is_whole else counted(len(encoded.text), "character")
        return f"the prompt has {size}, the model takes 1 to {most}{'' if encoded.is_whole else ' tokens'}"

    def _decode(self, rows: list[_Row], job: _Job) -> Iterator[Completion]:
        """Decode one batch; each row is removed from `rows` before its completion is yielded."""
        start = time.perf_counter()
        decoding = job.decoding
        batch = DecodingBatch(self._model, [row.tokens for row in rows])
        while rows:
            uniform = [row.uniform(decoding.seed) for row in rows] if decoding.temperature else []
            chosen = choose(batch.logits(), decoding, uniform)
            for row, token in zip(rows, chosen.tolist(), strict=True):
                row.new.append(token)
            seconds = time.perf_counter() - start
            finished = [_finished(row, job, seconds) for row in rows]
            keep = [i for i, completion in enumerate(finished) if completion is None]
            rows[:] = [rows[i] for i in keep]
            yield from (completion for completion in finished if completion)
            if rows:
                batch.advance(chosen, keep)


def _finished(row: _Row, job: _Job, seconds: float) -> Completion | None:
    """Return a row's completion, None while it goes on."""
    ended, full, is_ruled = row.new[-1] in job.ends, len(row.new) == row.limit, False
    if not (ended or full):
        watch = job.watchers.get(row.prompt.example_id)
        if not (watch or has_rule(job.decoding)):
            return None
        text = row.text_so_far(job)
        is_ruled = has_rule(job.decoding) and row.stopped(text, job)
        if not is_ruled:
            if watch:
                watch(text)
            return None
    completion = Completion(
        row.prompt.example_id,
        None,
        FinishReason.STOP if ended or is_ruled else FinishReason.LENGTH,
        prompt_tokens=len(row.tokens),
        completion_tokens=len(row.new),
        seconds=seconds,
        partial=is_ruled,
        notes=job.notes,
    )
    return settle(job.decode(row.new[:-1] if ended else row.new), job.decoding, completion, row.prompt)


def _failure(prompt: Prompt, n_tokens: int, error: str) -> Completion:
    return Completion(prompt.example_id, None, FinishReason.ERROR, error=error, prompt_tokens=n_tokens)
