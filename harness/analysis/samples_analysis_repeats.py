"""Completions that repeat: the reference, word for word or nearly, or one text in answer to several prompts.

Words are compared without case and punctuation. Short texts, such as class labels, are the same by rights and are
passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

LONG = 8
"""Shorter completions are the same by rights."""
NEAR = 0.8
"""Texts are nearly the same when their sets of words have at least this Jaccard similarity."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Repeat:
    """A text that the run at this position gave for several examples."""

    run: int
    example_ids: tuple[str, ...]


@dataclass(slots=True)
class Texts:
    """Takes completions run by run, and keeps those that repeat."""

    references: dict[str, frozenset[str]] = field(default_factory=dict)
    """The words of each example's reference, by id."""
    matches: dict[str, dict[int, float]] = field(default_factory=dict)
    """How near the reference a completion is, by example id and run; only what is near."""
    repeats: list[Repeat] = field(default_factory=list)
    _same: dict[str, list[str]] = field(default_factory=dict)

    def add(self, run: int, example_id: str, text: str) -> None:
        """Take a completion."""
        words = _WORD.findall(text.casefold())
        if len(words) < LONG:
            return
        self._same.setdefault(" ".join(words), []).append(example_id)
        mine, reference = frozenset(words), self.references[example_id]
        shared = len(mine & reference)
        if shared >= NEAR * (len(mine) + len(reference) - shared):
            near = shared / (len(mine) + len(reference) - shared)
            self.matches.setdefault(example_id, {})[run] = near

    def settle(self, run: int) -> None:
        """Note what the run repeated, and forget its texts."""
        self.repeats += [Repeat(run, tuple(ids)) for ids in self._same.values() if len(ids) > 1]
        self._same.clear()


def bag(text: str) -> frozenset[str]:
    """Return the words of a text without case, punctuation, order and number."""
    return frozenset(_WORD.findall(text.casefold()))
