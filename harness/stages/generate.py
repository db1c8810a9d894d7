"""Completions for prompts: read from the store where they exist, generated where not, and stored as they arrive.

A completion's key is the digest of the model's identity, the sampling parameters and the prompt as the model gets it.
So a killed run resumes where it stopped, the runs of a sweep share completions, and one model's are never used for
another.

Texts are stored as they came. What ends a completion (stop sequences, `task.stop_at`, `task.answer_after`) is applied
when they are read, so that another rule generates nothing again: only where an earlier rule ended the generation before
the new one does, the model has to go on.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.client.pricing import Budget
from harness.progress import track
from harness.protocols import LookupModel, Model
from harness.store.digest import digest
from harness.store.stages import Store
from harness.tasks.stopping import end_of, settle, split_reasoning, unsettled
from harness.types import Completion, FinishReason, Prompt, SamplingParams, StageRecord, StopAt
from harness.wording import counted

_MOST_NOTES = 10
"""The most notes on completions that are among the warnings of a run."""
_NO_COMPLETION = Completion("", None, FinishReason.ERROR, error="the model returned no completion for this prompt")


def shown_key(prompt: Prompt) -> str:
    """Return the digest of what the model is shown, which neither the example's id nor the sample is part of."""
    return digest([bool(prompt.messages), prompt.rendered] if prompt.rendered else [prompt.text, prompt.messages])


def prompt_key(prompt: Prompt) -> str:
    """Return the digest of what the model is shown, and of which sample of it is drawn."""
    return digest([shown_key(prompt), prompt.sample]) if prompt.sample else shown_key(prompt)


def completion_inputs(model: Model, decoding: SamplingParams) -> dict[str, object]:
    """Return the inputs of the key of a model's completions: all that decides the texts as they come."""
    return {"model": model.identity, "decoding": _without_rules(decoding)}


def unanswered(model: Model, prompts: Sequence[Prompt], decoding: SamplingParams, store: Store) -> list[Prompt]:
    """Return the prompts that have no stored completion."""
    view = _View.of(model, prompts, decoding)
    missing = set(view.missing(store.completions(completion_inputs(model, decoding)).read()))
    return [prompt for prompt in prompts if view.keys[prompt.example_id] in missing]


def complete(
    model: Model, prompts: Sequence[Prompt], decoding: SamplingParams, store: Store, budget: Budget | None = None
) -> tuple[tuple[Completion, ...], StageRecord]:
    """Return one completion per prompt, in their order, and the stage's record; ModelError once `budget` is spent.

    Equal prompts are sent once. A prompt that the model returns nothing for has a completion with an error.
    """
    start = time.perf_counter()
    inputs = completion_inputs(model, decoding)
    view = _View.of(model, prompts, decoding)

    def generate(missing: list[str]) -> Generator[tuple[str, Completion]]:
        for key, completion in _generate(
            model, {key: view.prompts[key] for key in missing}, decoding, budget or Budget()
        ):
            yield view.row_key(key, completion), unsettled(completion, decoding, view.prompts[key])

    rows, computed = store.completions(inputs).fill(list(view.prompts), generate, view.missing)
    completions = view.settled(rows)
    new = {key.partition(_RULES)[0] for key in computed}
    n_cached = sum(key in completions and key not in new for key in view.keys.values())
    record = StageRecord(
        name="generate",
        key=digest(inputs),
        inputs={"model": digest(model.identity), "decoding": digest(decoding)},
        seconds=time.perf_counter() - start,
        n_computed=len(prompts) - n_cached,
        n_cached=n_cached,
    )
    return tuple(
        dataclasses.replace(completions.get(view.keys[prompt.example_id], _NO_COMPLETION), example_id=prompt.example_id)
        for prompt in prompts
    ), record


def completion_warnings(completions: Sequence[Completion], decoding: SamplingParams) -> tuple[str, ...]:
    """Return what a reader of scores has to know about the completions: answers that are missing, or not separated."""
    ok = [completion for completion in completions if completion.error is None]
    empty = [completion for completion in ok if not completion.text]
    thought = sum(completion.reasoning is not None for completion in empty)
    marker = decoding.answer_after
    unmarked = sum(marker not in (c.raw or c.text or "") for c in ok if c.text) if marker else 0
    of = f"of {counted(len(completions), 'completion')}"
    warnings = []
    if thought:
        warnings.append(
            f"{thought:,} {of} ended in their reasoning, before an answer: the token limit went into it. Raise "
            f"generation.max_tokens (now {decoding.max_tokens}), or have the model reason less"
        )
    if n_empty := sum(c.reasoning is None and c.finish_reason is not FinishReason.LENGTH for c in empty):
        warnings.append(f"{n_empty:,} {of} are empty: the model ended at once")
    if unmarked:
        warnings.append(f"{unmarked:,} {of} have no {marker!r} (task.answer_after): the whole text is scored")
    notes = Counter(note for completion in ok for note in completion.notes)
    shares = ((note, "" if n == len(completions) else f" ({n:,} {of})") for note, n in notes.most_common(_MOST_NOTES))
    warnings += [f"{note}{share}" for note, share in shares]
    return tuple(warnings)


def _without_rules(decoding: SamplingParams) -> SamplingParams:
    """Return the sampling parameters without the rules that truncate a text."""
    return dataclasses.replace(decoding, stop=(), stop_at=StopAt.none, answer_after=None)


_RULES = "/"
"""Stands between the key of a prompt and the rules under which its generation was ended."""


@dataclass(frozen=True, slots=True)
class _View:
    """Stored texts under one set of stop rules: `keys` by example id, and the prompts by key."""

    decoding: SamplingParams
    keys: Mapping[str, str]
    prompts: Mapping[str, Prompt]

    @classmethod
    def of(cls, model: Model, prompts: Sequence[Prompt], decoding: SamplingParams) -> _View:
        by_example = isinstance(model, LookupModel)
        if by_example:  # its texts are what they are
            decoding = dataclasses.replace(decoding, stop=(), stop_at=StopAt.none)
        keys = {p.example_id: digest([p.example_id, p.source]) if by_example else prompt_key(p) for p in prompts}
        return cls(decoding, keys, {keys[prompt.example_id]: prompt for prompt in prompts})

    def row_key(self, key: str, completion: Completion) -> str:
        """Return the key to store a new completion under: with the stop rules where it may have ended at one."""
        whole = self.decoding == _without_rules(self.decoding) or completion.error is not None
        if whole or (completion.raw is not None and not completion.partial):
            return key
        return f"{key}{_RULES}{self._rules}"

    @property
    def _rules(self) -> str:
        return digest([self.decoding.stop, self.decoding.stop_at, self.decoding.answer_after])

    def missing(self, rows: Mapping[str, Completion]) -> list[str]:
        """Return the keys of the prompts that no stored text answers under these rules."""
        answered = self._usable(rows)
        return [key for key in self.prompts if key not in answered]

    def settled(self, rows: Mapping[str, Completion]) -> dict[str, Completion]:
        """Return the completions under these rules by the keys of their prompts."""
        completions = {}
        for key, row in self._usable(rows).items():
            settled = row if row.text is None else settle(row.text, self.decoding, row, self.prompts[key])
            completions[key] = dataclasses.replace(settled, raw=None) if settled.raw == settled.text else settled
        return completions

    def _usable(self, rows: Mapping[str, Completion]) -> dict[str, Completion]:
        usable: dict[str, Completion] = {}
        rules = self._rules
        for row_key, row in rows.items():
            key, _, own = row_key.partition(_RULES)
            if key in self.prompts and (not own or own == rules or (key not in usable and self._ends_in(row, key))):
                usable[key] = row
        return usable

    def _ends_in(self, row: Completion, key: str) -> bool:
        """Return whether a text that another rule ended is long enough for these rules to end it."""
        answer = split_reasoning(row.text or "", self.decoding, self.prompts[key]).answer
        return answer is not None and end_of(answer, self.decoding) is not None


def _generate(
    model: Model, prompts: Mapping[str, Prompt], decoding: SamplingParams, budget: Budget
) -> Iterator[tuple[str, Completion]]:
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
