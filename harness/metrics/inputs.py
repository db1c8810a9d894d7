"""The texts that metrics read from completions and examples, checked once for every metric.

Texts are tuples, because metrics cache what they compute under them: the references are the same for every model of a
leaderboard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter, eq
from typing import NamedTuple

from harness.types import Completion, Example, Likelihood

Texts = tuple[str, ...]


def pairs(completions: Sequence[Completion], examples: Sequence[Example]) -> tuple[Texts, Texts]:
    """Return the hypotheses and the references; ValueError unless they are aligned and every completion has a text.

    The latest result is cached for tuples, which cannot change, because several metrics in a row read the same rows.
    """
    latest = _latest[0]
    if completions is latest.completions and examples is latest.examples:
        return latest.texts
    texts = _checked_pairs(completions, examples)
    if isinstance(completions, tuple) and isinstance(examples, tuple):
        _latest[0] = _Latest(completions, examples, texts)
    return texts


class _Latest(NamedTuple):
    completions: tuple[Completion, ...] = ()
    examples: tuple[Example, ...] = ()
    texts: tuple[Texts, Texts] = ((), ())


_latest = [_Latest()]


def _checked_pairs(completions: Sequence[Completion], examples: Sequence[Example]) -> tuple[Texts, Texts]:
    if len(completions) != len(examples):
        raise ValueError(f"Expected one completion per example, got {len(completions)} for {len(examples)}.")
    aligned = map(eq, map(attrgetter("example_id"), completions), map(attrgetter("id"), examples))
    hypotheses = tuple(map(attrgetter("text"), completions))
    if not all(aligned) or None in hypotheses:
        _raise_for_first_problem(completions, examples)
    return hypotheses, tuple(map(attrgetter("reference"), examples))


def _raise_for_first_problem(completions: Sequence[Completion], examples: Sequence[Example]) -> None:
    for completion, example in zip(completions, examples, strict=True):
        if completion.example_id != example.id:
            raise ValueError(f"Expected the completion of example {example.id!r}, got {completion.example_id!r}'s.")
        if completion.text is None:
            raise ValueError(f"Completion {example.id!r} has no text: metrics score only completions that have one.")


def likelihoods(
    completions: Sequence[Completion], examples: Sequence[Example], texts_to_score: Callable[[Example], Sequence[str]]
) -> list[list[Likelihood]]:
    """Return the likelihoods of each example's `texts_to_score`; ValueError if one is missing, or as `pairs`."""
    pairs(completions, examples)
    rows = []
    for completion, example in zip(completions, examples, strict=True):
        texts = texts_to_score(example)
        for text in texts:
            if text not in completion.likelihoods:
                raise ValueError(
                    f"Completion {example.id!r} has no likelihood of {text!r}: "
                    "use a model that returns log-probabilities."
                )
        rows.append([completion.likelihoods[text] for text in texts])
    return rows
