"""Confidence distributions: one object gives the interval at any level and the p-value of any threshold.

Because `p_value` inverts `interval`, a decision by p-value never contradicts the interval printed beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from harness.types import FloatArray

MIN_DENOMINATOR = 1e-9
"""BCa's correction has a pole, which very few, very skewed rows can cross; the bound is then the outermost score."""


class ConfidenceDistribution(Protocol):
    """The uncertainty about one true value."""

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the two-sided bounds at `confidence`, such as 0.95."""
        ...

    def p_value(self, threshold: float) -> float:
        """Return the one-sided p-value of "the true value is at most `threshold`"."""
        ...


@dataclass(frozen=True, slots=True)
class Student:
    """An estimate with a standard error and its degrees of freedom."""

    estimate: float
    standard_error: float
    degrees: float

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the t interval."""
        half_width = float(stdtrit(self.degrees, (1 + confidence) / 2)) * self.standard_error
        return self.estimate - half_width, self.estimate + half_width

    def p_value(self, threshold: float) -> float:
        """Return the one-sided p-value of the t test."""
        return float(stdtr(self.degrees, (threshold - self.estimate) / self.standard_error))


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Sorted resampled scores, shape (B,), with BCa's two corrections and widening for few rows.

    With `bias` and `acceleration` 0 it is the percentile bootstrap; with infinite `degrees` it is not widened. The
    plain bootstrap is too narrow by a factor of sqrt((n - 1) / n) and uses normal instead of t quantiles; widening
    corrects both, with n - 1 degrees of freedom or the fewer of `bootstrap.degrees_of_freedom`. Sources: Efron (1987),
    Better bootstrap confidence intervals, JASA 82(397), with interpolation and ties as in scipy.stats.bootstrap;
    Hesterberg (2015), What teachers should know about the bootstrap, The American Statistician 69(4), for the widening.
    """

    scores: FloatArray
    bias: float = 0.0
    acceleration: float = 0.0
    degrees: float = np.inf

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the bounds, interpolated between resampled scores."""
        z = float(stdtrit(self.degrees, (1 + confidence) / 2)) * np.sqrt(1 + 1 / self.degrees)
        low, high = (self._level(side * z) for side in (-1, 1))
        # This equals np.quantile, which would sort again.
        last = len(self.scores) - 1
        low, high = np.interp([low * last, high * last], np.arange(last + 1), self.scores)
        return float(low), float(high)

    def p_value(self, threshold: float) -> float:
        """Return the level at which the interval's lower bound is `threshold`; never 0 or 1."""
        w = float(ndtri(_share_below(self.scores, threshold))) - self.bias
        z = w / max(1 + self.acceleration * w, MIN_DENOMINATOR) - self.bias
        return float(stdtr(self.degrees, z / np.sqrt(1 + 1 / self.degrees)))

    def _level(self, z: float) -> float:
        shifted = self.bias + z
        return float(ndtr(self.bias + shifted / max(1 - self.acceleration * shifted, MIN_DENOMINATOR)))


def percentile(scores: FloatArray, degrees: float = np.inf) -> Bootstrap:
    """Return the percentile bootstrap of resampled `scores`, shape (B,)."""
    return Bootstrap(np.sort(scores), degrees=degrees)


def bca(scores: FloatArray, estimate: float, jackknife_scores: FloatArray, degrees: float = np.inf) -> Bootstrap:
    """Return the bias-corrected and accelerated bootstrap of resampled `scores`, shape (B,).

    `estimate` is the score of all rows, and `jackknife_scores`, shape (n,), are the leave-one-out scores.
    """
    influence = jackknife_scores.mean() - jackknife_scores
    spread = float((influence**2).sum())
    acceleration = float((influence**3).sum()) / (6 * spread**1.5) if spread else 0.0
    return Bootstrap(np.sort(scores), float(ndtri(_share_below(scores, estimate))), acceleration, degrees)


def _share_below(scores: FloatArray, threshold: float) -> float:
    below = np.count_nonzero(scores < threshold) + np.count_nonzero(scores <= threshold)
    edge = 1 / (len(scores) + 1)
    return float(np.clip(below / (2 * len(scores)), edge, 1 - edge))
