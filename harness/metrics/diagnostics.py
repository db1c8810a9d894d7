"""Diagnostics: numbers that explain a score and are no score themselves, so neither direction is better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.metrics.base import RatioMetric, mean_stats
from harness.metrics.inputs import pairs
from harness.metrics.vocabulary import words
from harness.types import Completion, Example, FloatArray


class LengthRatio(RatioMetric):
    """Words of all completions per word of all references: 1 where they are as long on the whole."""

    name = "length_ratio"
    higher_is_better = None
    parallel = True
    signature = "length_ratio|tok:whitespace|agg:corpus"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return words of completion and of reference, shape (n, 2)."""
        encoded = words().encode(*pairs(completions, examples))
        return np.column_stack([texts.lengths for texts in encoded]).astype(np.float64)


class Repetition(RatioMetric):
    """The mean share of a completion's n-grams that it has said before: 1 - distinct n-grams / n-grams.

    A completion of fewer than `n` words does not count. Source: seq-rep-n of Welleck et al. (2020), Neural Text
    Generation with Unlikelihood Training, https://arxiv.org/abs/1908.04319.
    """

    name = "repetition"
    higher_is_better = None
    parallel = True

    def __init__(self, n: int = 4) -> None:
        self._n = n

    @property
    def signature(self) -> str:
        """Name and options."""
        return f"repetition|n:{self._n}|tok:whitespace|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return a share from 0 to 1, and a weight of 1 or 0, shape (n, 2)."""
        texts, _ = pairs(completions, examples)
        (encoded,) = words().encode(texts)
        shares = np.where(encoded.lengths < self._n, np.nan, 0.0)
        some = encoded.repeating() if self._n > 1 else np.arange(len(texts))
        shares[some] = [self._repeated(texts[i].split()) for i in some.tolist()]
        return mean_stats(shares)

    def _repeated(self, words: list[str]) -> float:
        total = len(words) - self._n + 1
        if total < 1:
            return np.nan
        return 1 - len(set(zip(*(words[i:] for i in range(self._n)), strict=False))) / total
