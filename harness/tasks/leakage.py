"""Leakage: validation examples that a model has seen, or may have seen, in training.

A leak is of the strictest kind that applies: the same prompt, the same words, nearly the same words, or the same long
completion for another prompt. Near prompts are found by an exact set-similarity join with prefix filtering (Chaudhuri
et al., 2006, "A Primitive Operator for Similarity Joins in Data Cleaning"), not by an approximation such as MinHash.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.tasks.split import normalise
from harness.types import Example

NEAR = 0.8
"""Prompts are near if their sets of words have at least this Jaccard similarity."""
MIN_NEAR_WORDS = 5
"""Prompts of fewer words are not compared: "World War I" and "World War II" are different questions."""
COMMON = 0.005
"""Words in more than this share of all prompts belong to the task's template, not to its content."""
COMMON_ROWS = 5
"""Words in this many prompts or fewer are content, however few prompts there are."""
LONG_COMPLETION = 8
"""Shorter completions, in words, may well be equal, such as class labels."""

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
"""Runs of scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""


class LeakKind(StrEnum):
    """How a validation example was seen in training."""

    EXACT = "exact"
    NORMALISED = "normalised"
    NEAR = "near"
    COMPLETION = "completion"


@dataclass(frozen=True, slots=True)
class Leak:
    """A validation example and the training example that leaks it."""

    kind: LeakKind
    validation: Example
    train: Example


def leaks(train: Sequence[Example], validation: Sequence[Example]) -> tuple[Leak, ...]:
    """Return the strictest leak of each validation example that has any, in their order."""
    exact = {e.prompt: e for e in train}
    words = {normalise(e.prompt): e for e in train}
    completions = {normalise(e.reference): e for e in train if len(_words(e.reference)) >= LONG_COMPLETION}
    near = _near(list(words), [normalise(e.prompt) for e in validation])

    def matches(example: Example, near_prompt: str | None) -> Iterator[tuple[LeakKind, Example | None]]:
        yield LeakKind.EXACT, exact.get(example.prompt)
        yield LeakKind.NORMALISED, words.get(normalise(example.prompt))
        yield LeakKind.NEAR, None if near_prompt is None else words[near_prompt]
        yield LeakKind.COMPLETION, completions.get(normalise(example.reference))

    strictest = (
        next((Leak(kind, example, match) for kind, match in matches(example, near_prompt) if match), None)
        for example, near_prompt in zip(validation, near, strict=True)
    )
    return tuple(leak for leak in strictest if leak)


def _near(train: Sequence[str], validation: Sequence[str]) -> Iterator[str | None]:
    """Yield a near training prompt for each validation prompt, or None.

    Two sets of such a similarity share one of the few rarest words of each, so only prompts that do are compared.
    """
    rows = [frozenset(_words(prompt)) for prompt in (*train, *validation)]
    frequency = Counter(word for row in rows for word in row)
    limit = max(COMMON * len(rows), COMMON_ROWS)
    content = [sorted((w for w in row if frequency[w] <= limit), key=lambda w: (frequency[w], w)) for row in rows]
    index: defaultdict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(content[: len(train)]):
        for word in _rarest(row):
            index[word].append(i)
    sets = [frozenset(row) for row in content]
    for j, row in enumerate(content[len(train) :], len(train)):
        candidates = {i for word in _rarest(row) for i in index.get(word, ())}
        near = (i for i in sorted(candidates) if _similar(sets[i], sets[j]) and _similar(rows[i], rows[j]))
        yield next((train[i] for i in near if _numbers(rows[i]) == _numbers(rows[j])), None)


def _words(text: str) -> list[str]:
    """Return the words of a text, and in scripts without spaces each two neighbouring characters."""
    words: list[str] = []
    for word in text.split():
        start = 0
        for run in _UNSPACED.finditer(word):
            words += [word[start : run.start()]] if run.start() > start else []
            words += [run[0][i : i + 2] for i in range(max(1, len(run[0]) - 1))]
            start = run.end()
        words += [word[start:]] if start < len(word) else []
    return words


def _numbers(words: frozenset[str]) -> frozenset[str]:
    """Return the words with digits: a question about other numbers is another question."""
    return frozenset(word for word in words if any(character.isdigit() for character in word))


def _similar(a: frozenset[str], b: frozenset[str]) -> bool:
    return len(a & b) >= NEAR * len(a | b)


def _rarest(words: Sequence[str]) -> Sequence[str]:
    """Return the prefix, of words from rare to frequent, that a near prompt must share a word with."""
    if len(words) < MIN_NEAR_WORDS:
        return ()
    return words[: len(words) - math.ceil(NEAR * len(words)) + 1]
