"""Keyword recall: the share of a reference's longer words that the completion has.

A metric is statistics per example and a rule that turns their sums into a score. `BaseMetric` has that rule for any
ratio of two sums; intervals, paired tests, slices, ties and the gate then come from the harness.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from harness import BaseMetric, Completion, Example

VERSION = "1"
"""Part of the signature: raise it with every change of the numbers, and old scores no longer compare with new ones."""


class KeywordRecall(BaseMetric):
    """The share of the references' words of `min_length` letters or more that stand in the completions."""

    name = "keyword_recall"
    higher_is_better = True
    parallel = True

    def __init__(self, min_length: int = 5) -> None:
        self.min_length = min_length

    @property
    def signature(self) -> str:
        """Name, options and version: equal signatures mean comparable scores."""
        return f"keyword_recall|min_length:{self.min_length}|version:{VERSION}"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> np.ndarray:
        """Return how many keywords each completion has, and how many its reference has, shape (n, 2)."""
        rows = []
        for completion, example in zip(completions, examples, strict=True):
            keywords = self._keywords(example.reference)
            rows.append((len(keywords & self._keywords(completion.text or "")), len(keywords)))
        return np.array(rows, np.float64).reshape(len(rows), 2)

    def _keywords(self, text: str) -> set[str]:
        return {word for word in re.findall(r"\w+", text.casefold()) if len(word) >= self.min_length}
