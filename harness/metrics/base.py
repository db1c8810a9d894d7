"""The base of every metric whose score is a ratio of two sums, means over examples among them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from harness.types import Completion, Example, FloatArray


class RatioMetric(ABC):
    """A metric with statistics (numerator, denominator), shape (n, 2), and the ratio of their sums as its score."""

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
        """Return each example's numerator and denominator, shape (n, 2)."""

    def aggregate(self, sums: FloatArray) -> FloatArray:
        """Divide summed numerators by summed denominators, shape (..., 2) to (...); nan where nothing was counted."""
        return ratio(sums[..., 0], sums[..., 1])

    def per_example(self, stats: FloatArray) -> FloatArray:
        """Return each example's own ratio, shape (n,); nan for an example that does not count."""
        return self.aggregate(stats)


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Divide arrays of one shape; nan where the denominator is 0."""
    counted = denominator > 0
    return np.where(counted, numerator / np.where(counted, denominator, 1.0), np.nan)


def mean_of_known(values: FloatArray) -> FloatArray:
    """Average over the last axis, leaving nan out, shape (..., n) to (...); nan where nothing is left."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def mean_stats(values: Sequence[float] | FloatArray) -> FloatArray:
    """Return the statistics of a plain mean, shape (n, 2); an example whose value is nan does not count."""
    value = np.asarray(values, dtype=np.float64)
    counts = ~np.isnan(value)
    return np.column_stack([np.where(counts, value, 0.0), counts.astype(np.float64)])
