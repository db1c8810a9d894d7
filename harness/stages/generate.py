"""Completions for prompts: read from the store where they exist, generated where not, and stored as they arrive.

A completion's key is the digest of the model's identity, the sampling parameters and the prompt. So a killed run
resumes where it stopped, the runs of a sweep share completions, and one model's are never used for another.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Mapping, Sequence

from harness.client.pricing import Budget
from harness.progress import track
from harness.protocols import Model
from harness.store.digest import digest
from harness.store.stages import Store
from harness.types import Completion, FinishReason, Prompt, SamplingParams, StageRecord
from harness.wording import counted

_NO_COMPLETION = Completion("", None, FinishReason.ERROR, error="the model returned no completion for this prompt")


def prompt_key(prompt: Prompt) -> str:
    """Return the digest of what the model is shown, which the example's id is not part of."""
    return digest([prompt.text, prompt.messages])


def unanswered(model: Model, prompts: Sequence[Prompt], decoding: SamplingParams, store: Store) -> list[Prompt]:
    """Return the prompts that have no stored completion."""
    stored = store.completions(_inputs(model, decoding)).read()
    return [prompt for prompt in prompts if prompt_key(prompt) not in stored]


def complete(
    model: Model, prompts: Sequence[Prompt], decoding: SamplingParams, store: Store, budget: Budget | None = None
) -> tuple[tuple[Completion, ...], StageRecord]:
    """Return one completion per prompt, in their order, and the stage's record; ModelError once `budget` is spent.

    Equal prompts are sent once. A prompt that the model returns nothing for has a completion with an error.
    """
    start = time.perf_counter()
    inputs = _inputs(model, decoding)
    keys = {prompt.example_id: prompt_key(prompt) for prompt in prompts}
    by_key = {keys[prompt.example_id]: prompt for prompt in prompts}

    def generate(missing_keys: list[str]) -> Generator[tuple[str, Completion]]:
        yield from _generate(model, {key: by_key[key] for key in missing_keys}, decoding, budget or Budget())

    completions, computed = store.completions(inputs).fill(list(by_key), generate)
    n_cached = sum(key in completions and key not in computed for key in keys.values())
    record = StageRecord(
        name="generate",
        key=digest(inputs),
        inputs={"model": digest(model.identity), "decoding": digest(decoding)},
        seconds=time.perf_counter() - start,
        n_computed=len(prompts) - n_cached,
        n_cached=n_cached,
    )
    ids = [prompt.example_id for prompt in prompts]
    return tuple(dataclasses.replace(completions.get(keys[id], _NO_COMPLETION), example_id=id) for id in ids), record


def _inputs(model: Model, decoding: SamplingParams) -> dict[str, object]:
    return {"model": model.identity, "decoding": decoding}


def _generate(
    model: Model, prompts: Mapping[str, Prompt], decoding: SamplingParams, budget: Budget
) -> Generator[tuple[str, Completion]]:
    """Yield the completions of the prompts with their keys, as they arrive."""
    keys = {prompt.example_id: key for key, prompt in prompts.items()}
    tokens, errors = 0, 0
    start = last = time.monotonic()
    with track("generate", total=len(prompts), unit="completions") as bar:
        for completion in model.generate(list(prompts.values()), decoding):
            now = time.monotonic()
            yield keys[completion.example_id], dataclasses.replace(completion, wall_seconds=now - last)
            last = now
            tokens += completion.completion_tokens or 0
            errors += completion.error is not None
            budget.spend(completion)
            rate = tokens / max(now - start, 1e-9)
            notes = (f"{rate:.0f} tokens/s", budget.note(), counted(errors, "error") if errors else "")
            bar.advance(note=", ".join(note for note in notes if note))
