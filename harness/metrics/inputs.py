"""The texts of completions and examples, checked once for every metric.

Tuples, because they are the keys under which metrics keep what they worked out about a set of texts: the references
are the same for every model of a leaderboard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter, eq
from typing import NamedTuple

from harness.types import Completion, Example, Likelihood

Texts = tuple[str, ...]


def pairs(completions: Sequence[Completion], examples: Sequence[Example]) -> tuple[Texts, Texts]:
    """Return the completions' texts and the references; ValueError unless they are aligned and all have a text.

    Rows that are tuples, which cannot change, are read once for all metrics that ask for them one after the other.
    """
    last = _last[0]
    if completions is last.completions and examples is last.examples:
        return last.texts
    found = _pairs(completions, examples)
    if isinstance(completions, tuple) and isinstance(examples, tuple):
        _last[0] = _Read(completions, examples, found)
    return found


class _Read(NamedTuple):
    completions: tuple[Completion, ...] = ()
    examples: tuple[Example, ...] = ()
    texts: tuple[Texts, Texts] = ((), ())


_last = [_Read()]


def _pairs(completions: Sequence[Completion], examples: Sequence[Example]) -> tuple[Texts, Texts]:
    if len(completions) != len(examples):
        raise ValueError(f"Expected one completion an example, got {len(completions)} for {len(examples)}.")
    ids = map(eq, map(attrgetter("example_id"), completions), map(attrgetter("id"), examples))
    texts = tuple(map(attrgetter("text"), completions))
    if not all(ids) or None in texts:
        _check(completions, examples)
    return texts, tuple(map(attrgetter("reference"), examples))


def _check(completions: Sequence[Completion], examples: Sequence[Example]) -> None:
    """Raise ValueError for the first row that does not fit."""
    for completion, example in zip(completions, examples, strict=True):
        if completion.example_id != example.id:
            raise ValueError(f"Expected the completion of example {example.id!r}, got {completion.example_id!r}'s.")
        if completion.text is None:
            raise ValueError(f"Completion {example.id!r} has no text: metrics score only completions that have one.")


def likelihoods(
    completions: Sequence[Completion], examples: Sequence[Example], wanted: Callable[[Example], Sequence[str]]
) -> list[list[Likelihood]]:
    """Return the likelihoods of each example's `wanted` texts; ValueError where rows do not fit or one is unknown."""
    pairs(completions, examples)
    found = []
    for completion, example in zip(completions, examples, strict=True):
        for text in wanted(example):
            if text not in completion.likelihoods:
                raise ValueError(f"Completion {example.id!r} has no likelihood of {text!r}: ask a model that tells it.")
        found.append([completion.likelihoods[text] for text in wanted(example)])
    return found
