"""Exact and score methods for binary scores, which hold at 0%, at 100% and at small n, where a bootstrap gives ±0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, ndtr, ndtri, stdtrit

from harness.stats.bootstrap import cluster_sums
from harness.types import FloatArray

EDGE = 1 - 1e-12
"""The largest difference of two shares that the score statistic is evaluated at; at 1 its variance is 0."""


def wilson(share: float, n: float, confidence: float) -> tuple[float, float]:
    """Return the Wilson score interval of a `share` of `n` trials; `n` may be a fractional, effective sample size.

    Source: Wilson (1927), JASA 22(158); for whole n it is scipy's binomtest(...).proportion_ci(method="wilson").
    """
    z2 = float(ndtri((1 + confidence) / 2)) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half_width = np.sqrt(z2 * (share * (1 - share) + z2 / (4 * n)) / n) / (1 + z2 / n)
    return max(0.0, float(centre - half_width)), min(1.0, float(centre + half_width))


def clopper_pearson(successes: int, n: int, confidence: float) -> tuple[float, float]:
    """Return the exact interval, which covers every true share with at least `confidence` and is wider than Wilson's.

    Source: Clopper and Pearson (1934), Biometrika 26(4), from scipy.
    """
    from scipy.stats import binomtest

    bounds = binomtest(successes, n).proportion_ci(confidence, method="exact")
    return float(bounds.low), float(bounds.high)


def effective_size(values: FloatArray, clusters: ArrayLike, confidence: float) -> float:
    """Return the effective number of independent trials of clustered 0/1 `values`, shape (n,); at most n.

    It is n over the design effect, the ratio of the clustered to the binomial variance of the share. If all values are
    equal, the design effect cannot be estimated and each cluster counts as one trial. Source: Korn and Graubard (1998),
    Survey Methodology 24(2), with their correction for few clusters.
    """
    sums = cluster_sums(np.column_stack([values, np.ones(len(values))]), clusters)
    groups, n, share = len(sums), len(values), float(values.mean())
    if share in (0.0, 1.0) or groups < 2:
        return float(groups)
    residuals = sums[:, 0] - share * sums[:, 1]
    variance = groups / (groups - 1) * float((residuals**2).sum()) / n**2
    level = (1 + confidence) / 2
    few = float(stdtrit(n - 1, level) / stdtrit(groups - 1, level)) ** 2
    return min(float(n), share * (1 - share) / variance * few) if variance else float(n)


def mcnemar(higher: int, lower: int) -> tuple[float, float]:
    """Return McNemar's exact and mid-p p-values from the pairs that only the first, or only the second, got right.

    The exact test is conservative; the mid-p test keeps its level in practice. Source: Fagerland, Lydersen and Laake
    (2013), BMC Medical Research Methodology 13:91.
    """
    fewer, pairs = min(higher, lower), higher + lower
    at_most = float(bdtr(fewer, pairs, 0.5))
    exactly = at_most - (float(bdtr(fewer - 1, pairs, 0.5)) if fewer else 0.0)
    return min(1.0, 2 * at_most), 2 * at_most - exactly


@dataclass(frozen=True, slots=True)
class Tango:
    """Tango's score interval for the difference of two shares, from `n` pairs of 0/1 scores.

    Only the pairs that differ matter: in `higher` of them only the first is 1, in `lower` only the second. The interval
    has a positive width even if no pair differs. Source: Tango (1998), Statistics in Medicine 17(8).
    """

    higher: int
    lower: int
    n: int

    def score(self, difference: float) -> float:
        """Return the score statistic, standard normal if `difference` is the true one."""
        b, c, n = self.higher, self.lower, self.n
        difference = min(max(difference, -EDGE), EDGE)
        if b - c == n * difference:
            return 0.0
        linear = (2 * n - b + c) * difference - b - c
        constant = -c * difference * (1 - difference)
        only_second = (np.sqrt(linear**2 - 8 * n * constant) - linear) / (4 * n)
        variance = n * (2 * only_second + difference * (1 - difference))
        return float((b - c - n * difference) / np.sqrt(variance))

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the range of differences that the score test does not reject."""
        from scipy.optimize import brentq

        z, estimate = float(ndtri((1 + confidence) / 2)), (self.higher - self.lower) / self.n
        low = brentq(lambda d: self.score(d) - z, -EDGE, estimate) if estimate > -EDGE else -1.0
        high = brentq(lambda d: self.score(d) + z, estimate, EDGE) if estimate < EDGE else 1.0
        return float(low), float(high)

    def p_value(self, threshold: float) -> float:
        """Return the one-sided p-value of "the true difference is at most `threshold`"."""
        return float(ndtr(-self.score(threshold)))
