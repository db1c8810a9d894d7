"""Validation examples that a model has, or may have, seen in training, found so that scores can leave them out.

Three grades, the strictest that applies: the same prompt, the same words, nearly the same words; and beside them
the same long completion under another prompt. The near search is an exact set-similarity join with prefix filtering
(Chaudhuri et al. 2006, "A Primitive Operator for Similarity Joins in Data Cleaning"), not a sketch of one.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.tasks.split import normalise
from harness.types import Example

NEAR = 0.8
"""Prompts are near when their sets of words have at least this Jaccard similarity."""
NEAR_WORDS = 5
"""Shorter prompts are not compared: "World War I" and "World War II" are different questions."""
COMMON = 0.005
"""Words in more than this share of all prompts are the template of a task, not its content."""
COMMON_ROWS = 5
"""Words in this many prompts or fewer are content, however few prompts there are."""
LONG_COMPLETION = 8
"""Shorter completions, such as class labels, are the same by rights."""


class LeakKind(StrEnum):
    """How a validation example was seen in training."""

    EXACT = "exact"
    NORMALISED = "normalised"
    NEAR = "near"
    COMPLETION = "completion"


@dataclass(frozen=True, slots=True)
class Leak:
    """A validation example and the training example that gives it away."""

    kind: LeakKind
    validation: Example
    train: Example


def leaks(train: Sequence[Example], validation: Sequence[Example]) -> tuple[Leak, ...]:
    """Return one leak for each validation example that has any, in the order of the validation examples."""
    exact = {e.prompt: e for e in train}
    words = {normalise(e.prompt): e for e in train}
    completions = {normalise(e.reference): e for e in train if len(e.reference.split()) >= LONG_COMPLETION}
    near = _near(list(words), [normalise(e.prompt) for e in validation])

    def seen(example: Example, near_prompt: str | None) -> Iterator[tuple[LeakKind, Example | None]]:
        yield LeakKind.EXACT, exact.get(example.prompt)
        yield LeakKind.NORMALISED, words.get(normalise(example.prompt))
        yield LeakKind.NEAR, None if near_prompt is None else words[near_prompt]
        yield LeakKind.COMPLETION, completions.get(normalise(example.reference))

    firsts = (
        next((Leak(kind, example, by) for kind, by in seen(example, near_prompt) if by), None)
        for example, near_prompt in zip(validation, near, strict=True)
    )
    return tuple(leak for leak in firsts if leak)


def _near(train: Sequence[str], validation: Sequence[str]) -> Iterator[str | None]:
    """Yield for each validation prompt a training prompt near it, or None.

    Two sets this similar share a word among the rarest few of each, so only prompts that do are compared.
    """
    rows = [frozenset(prompt.split()) for prompt in (*train, *validation)]
    frequency = Counter(word for row in rows for word in row)
    limit = max(COMMON * len(rows), COMMON_ROWS)
    content = [sorted((w for w in row if frequency[w] <= limit), key=lambda w: (frequency[w], w)) for row in rows]
    index: defaultdict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(content[: len(train)]):
        for word in _rarest(row):
            index[word].append(i)
    sets = [frozenset(row) for row in content]
    for mine, row in zip(sets[len(train) :], content[len(train) :], strict=True):
        candidates = {i for word in _rarest(row) for i in index.get(word, ())}
        match = (i for i in sorted(candidates) if len(mine & sets[i]) >= NEAR * len(mine | sets[i]))
        found = next(match, None)
        yield None if found is None else train[found]


def _rarest(words: Sequence[str]) -> Sequence[str]:
    if len(words) < NEAR_WORDS:
        return ()
    return words[: len(words) - math.ceil(NEAR * len(words)) + 1]
