"""Diagnostics: lengths and repetition, which help to explain a score and have no better direction.

Words stand between spaces; those of scripts without spaces between words, such as Chinese, are single characters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.metrics.base import BaseMetric, mean_stats
from harness.metrics.inputs import pairs
from harness.metrics.token_ids import Encoded
from harness.metrics.vocabulary import spaced_words
from harness.types import Completion, Example, FloatArray


class LengthRatio(BaseMetric):
    """Words of all completions per word of all references; 1 if both are equally long in total."""

    name = "length_ratio"
    higher_is_better = None
    parallel = True
    signature = "length_ratio|tok:whitespace+unspaced-characters|agg:corpus"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return the number of words of completion and of reference, shape (n, 2)."""
        encoded = spaced_words().encode(*pairs(completions, examples))
        return np.column_stack([texts.lengths for texts in encoded]).astype(np.float64)


class Repetition(BaseMetric):
    """The mean share of a completion's n-grams that repeat an earlier one: 1 - distinct n-grams / n-grams.

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
        return f"repetition|n:{self._n}|tok:whitespace+unspaced-characters|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return a share from 0 to 1, and a weight of 1 or 0, shape (n, 2)."""
        texts, _ = pairs(completions, examples)
        (encoded,) = spaced_words().encode(texts)
        shares = np.where(encoded.lengths < self._n, np.nan, 0.0)
        counted = encoded.repeating() if self._n > 1 else np.arange(len(texts))
        shares[counted] = [self._repeated_share(_tokens(encoded, i)) for i in counted.tolist()]
        return mean_stats(shares)

    def _repeated_share(self, words: list[int]) -> float:
        total = len(words) - self._n + 1
        if total < 1:
            return np.nan
        return 1 - len(set(zip(*(words[i:] for i in range(self._n)), strict=False))) / total


def _tokens(encoded: Encoded, i: int) -> list[int]:
    tokens: list[int] = encoded.symbols[encoded.starts[i] : encoded.starts[i + 1] - 1].tolist()
    return tokens
