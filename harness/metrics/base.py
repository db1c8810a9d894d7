"""The contract that the metrics here share, and the arithmetic of ratios and means.

A metric returns sufficient statistics per example, shape (n, k), and a rule that turns their sums into a score, as in
sacrebleu (Post, 2018, https://aclanthology.org/W18-6319/). Sums over resampled, paired or sliced examples are then all
that intervals, tests and reports need. `harness.protocols.Metric` is what callers rely on; `BaseMetric` is the default
implementation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from harness.types import Completion, Example, FloatArray


class BaseMetric(ABC):
    """A metric whose score is a ratio of two sums, unless it overrides `aggregate`; means are ratios too.

    A subclass has a `name`, a `signature` and `stats`, and sets the attributes that differ from these defaults; see
    `harness.protocols.Metric` for their meaning.
    """

    name: str
    higher_is_better: bool | None = True
    is_proportion: bool = False
    parallel: bool = False

    @property
    @abstractmethod
    def signature(self) -> str:
        """Name, options and library version."""

    @abstractmethod
    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return the statistics of each example, shape (n, k): by default numerator and denominator, k = 2."""

    def aggregate(self, sums: FloatArray) -> FloatArray:
        """Divide summed numerators by summed denominators, shape (..., 2) to (...); nan where nothing was counted."""
        return ratio(sums[..., 0], sums[..., 1])

    def per_example(self, stats: FloatArray) -> FloatArray:
        """Return the score of each example alone, shape (n,); nan for an example that does not count."""
        return self.aggregate(stats)


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Divide arrays of one shape; nan where the denominator is 0."""
    counted = denominator > 0
    return np.where(counted, numerator / np.where(counted, denominator, 1.0), np.nan)


def mean_of_known(values: FloatArray) -> FloatArray:
    """Average over the last axis without nan, shape (..., n) to (...); nan where all values are nan."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def mean_stats(values: Sequence[float] | FloatArray) -> FloatArray:
    """Return the statistics of a plain mean, shape (n, 2); an example whose value is nan does not count."""
    value = np.asarray(values, dtype=np.float64)
    counts = ~np.isnan(value)
    return np.column_stack([np.where(counts, value, 0.0), counts.astype(np.float64)])
