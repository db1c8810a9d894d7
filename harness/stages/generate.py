"""Completions for examples: taken from the store where they are, made where they are not, kept as they come.

A completion's key is the digest of all that decides it: the model reference, the decoding options and the
prompt. So a killed run goes on where it stopped, runs of a sweep share what they have in common, and no
completion of one model is ever served as another's.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

from harness.pricing import Budget
from harness.progress import track
from harness.protocols import Model
from harness.store.digest import digest
from harness.store.stages import Log, Store
from harness.types import Completion, FinishReason, Prompt, SamplingParams, StageRecord


def prompt_key(prompt: Prompt) -> str:
    """Return the digest of what the model is shown; the example's id is no part of it."""
    return digest([prompt.text, prompt.messages])


def missing(model: Model, prompts: Sequence[Prompt], decoding: SamplingParams, store: Store) -> int:
    """Return how many of the prompts have no stored completion."""
    return len(unanswered(model, prompts, decoding, store))


def unanswered(model: Model, prompts: Sequence[Prompt], decoding: SamplingParams, store: Store) -> list[Prompt]:
    """Return the prompts that have no stored completion."""
    known = store.completions(_inputs(model, decoding)).read()
    return [p for p in prompts if prompt_key(p) not in known]


def complete(
    model: Model, prompts: Sequence[Prompt], decoding: SamplingParams, store: Store, budget: Budget | None = None
) -> tuple[tuple[Completion, ...], StageRecord]:
    """Return one completion a prompt, in their order, and what the stage took; ModelError once `budget` is spent."""
    start = time.perf_counter()
    inputs = _inputs(model, decoding)
    log = store.completions(inputs)
    keys = {p.example_id: prompt_key(p) for p in prompts}
    known = log.read()
    fresh: dict[str, Completion] = {}
    if any(key not in known for key in keys.values()):
        with store.lock(log.path.parent):  # another run may be making the same completions: wait, then look again
            known = log.read()
            wanted = [p for p in prompts if keys[p.example_id] not in known]
            fresh = _generate(model, wanted, decoding, log, budget or Budget())
    known |= fresh
    rows = tuple(dataclasses.replace(known[keys[p.example_id]], example_id=p.example_id) for p in prompts)
    made = sum(key in fresh for key in keys.values())
    record = StageRecord(
        name="generate",
        key=digest(inputs),
        inputs={"model": digest(model.identity), "decoding": digest(decoding)},
        seconds=time.perf_counter() - start,
        n_computed=made,
        n_cached=len(prompts) - made,
    )
    return rows, record


def _inputs(model: Model, decoding: SamplingParams) -> dict[str, object]:
    return {"model": model.identity, "decoding": decoding}


def _generate(
    model: Model, prompts: Sequence[Prompt], decoding: SamplingParams, log: Log[Completion], budget: Budget
) -> dict[str, Completion]:
    """Ask for each distinct prompt once; a prompt that the model never answers is an error, not a gap."""
    distinct = {prompt_key(p): p for p in prompts}
    keys = {p.example_id: key for key, p in distinct.items()}
    fresh: dict[str, Completion] = {}
    tokens, errors = 0, 0
    start = last = time.monotonic()
    with track("generate", total=len(distinct), unit="completions") as bar:
        for completion in model.generate(list(distinct.values()), decoding):
            now = time.monotonic()
            key = keys[completion.example_id]
            fresh[key] = dataclasses.replace(completion, wall_seconds=now - last)
            log.append(key, fresh[key])
            last = now
            tokens += completion.completion_tokens or 0
            errors += completion.error is not None
            budget.spend(completion)
            rate = tokens / max(now - start, 1e-9)
            notes = (f"{rate:.0f} tokens/s", budget.note(), f"{errors} errors" if errors else "")
            bar.advance(note=", ".join(note for note in notes if note))
    for key in distinct.keys() - fresh.keys():
        fresh[key] = Completion("", None, FinishReason.ERROR, error="the model returned no completion for this prompt")
    return fresh
